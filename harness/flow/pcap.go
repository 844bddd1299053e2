package flow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"
)

// WritePcap writes the packets of probes as pcapng, in the order of time: one
// interface for each of the nodes' (named "vps eth0"), cooked as tcpdump's
// "any" is (LINUX_SLL), since tunnels have no other link header.
func (p *Prober) WritePcap(w io.Writer, probes ...Probe) error {
	var all []kept
	for _, probe := range probes {
		all = append(all, probe.packets...)
	}
	slices.SortStableFunc(all, func(a, b kept) int { return a.capture.at.Compare(b.capture.at) })
	var out *pcapgo.NgWriter
	index := map[string]int{}
	for _, one := range all {
		name := one.node + " " + one.iface
		at, known := index[name]
		if !known {
			var err error
			if out, at, err = addInterface(w, out, name); err != nil {
				return fmt.Errorf("write pcapng: %w", err)
			}
			index[name] = at
		}
		data := append(sll(one.capture), one.capture.data...)
		info := gopacket.CaptureInfo{Timestamp: one.capture.at, CaptureLength: len(data), Length: len(data), InterfaceIndex: at}
		if err := out.WritePacket(info, data); err != nil {
			return fmt.Errorf("write pcapng: %w", err)
		}
	}
	if out == nil {
		var err error
		if out, _, err = addInterface(w, nil, "no packet was seen"); err != nil {
			return fmt.Errorf("write pcapng: %w", err)
		}
	}
	return errors.Join(out.Flush())
}

func addInterface(w io.Writer, out *pcapgo.NgWriter, name string) (*pcapgo.NgWriter, int, error) {
	i := pcapgo.NgInterface{Name: name, LinkType: layers.LinkTypeLinuxSLL, TimestampResolution: 9, OS: "linux"}
	if out == nil {
		out, err := pcapgo.NewNgWriterInterface(w, i, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "pbsdrill"}})
		return out, 0, err
	}
	at, err := out.AddInterface(i)
	return out, at, err
}

// sll is the header of LINKTYPE_LINUX_SLL: direction, hardware type, address
// length, address, protocol; sixteen bytes.
func sll(c capture) []byte {
	header := make([]byte, 16)
	if c.out {
		binary.BigEndian.PutUint16(header[0:], unix.PACKET_OUTGOING)
	}
	binary.BigEndian.PutUint16(header[2:], unix.ARPHRD_NONE)
	binary.BigEndian.PutUint16(header[14:], c.ethertype)
	return header
}
