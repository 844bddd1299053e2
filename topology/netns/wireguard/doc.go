// Package wireguard is WireGuard in user space for kernels that have none:
// what nodes see as /usr/bin/wireguard-go.
//
// wg-quick calls it unchanged when `ip link add … type wireguard` fails, and it
// behaves as the program of that name: it makes the TUN interface, detaches,
// and the caller goes on once the control socket answers. It ends when the
// interface is deleted or the socket removed.
//
// It is not the kernel's WireGuard: path MTU, DF and timing differ, and so a
// report says which of the two a lab ran.
package wireguard
