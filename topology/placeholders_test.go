package topology_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pbsdrill/pbsdrill/topology"
)

func TestFillPutsValuesInAndLeavesTheRest(t *testing.T) {
	content := []byte("a @{wg.vps.private} b\r\n\x00@{password.remote@pbs}@{psk.a.b}\nperl @{$list} and apparmor @{PROC}/@{pid\n")
	content = content[:len(content)-len("/@{pid\n")] // that one begins like ours
	got, err := topology.Fill(content, func(name string) (string, bool) { return "<" + name + ">", true })
	if err != nil {
		t.Fatal(err)
	}
	want := "a <wg.vps.private> b\r\n\x00<password.remote@pbs><psk.a.b>\nperl @{$list} and apparmor @{PROC}"
	if string(got) != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestAValueIsNotFilledAgain(t *testing.T) {
	got, err := topology.Fill([]byte("@{password.a}"), func(string) (string, bool) { return "@{password.b}", true })
	if err != nil || string(got) != "@{password.b}" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestFillNamesEveryPlaceholderWithoutAValue(t *testing.T) {
	_, err := topology.Fill([]byte("@{password.a}\nx @{password.b} @{nothing}\n"), func(string) (string, bool) { return "", false })
	want := "fill the placeholders: line 2, column 17: nothing fills @{nothing}: kind \"nothing\" is not known; known: wg, psk, password, hash, pbs, ssh\n" +
		"line 1, column 1: nothing fills @{password.a}\nline 2, column 3: nothing fills @{password.b}"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func FuzzFill(f *testing.F) {
	f.Add([]byte("PrivateKey = @{wg.vps.private}\n"), "secret")
	f.Add([]byte("@{@{password.x}} @{ wg.a.public } @{psk.a.b"), "@{password.y}")
	f.Fuzz(func(t *testing.T, content []byte, value string) {
		names := 0
		got, err := topology.Fill(content, func(name string) (string, bool) {
			if !bytes.Contains(content, []byte("@{"+name+"}")) {
				t.Errorf("%q is not in the content", name)
			}
			names++
			return value, true
		})
		if err != nil {
			return
		}
		if names == 0 && !bytes.Equal(got, content) {
			t.Errorf("nothing to fill, and it changed: %q, %q", content, got)
		}
		same, err := topology.Fill(content, func(name string) (string, bool) { return "@{" + name + "}", true })
		if err != nil || !bytes.Equal(same, content) {
			t.Errorf("every placeholder filled with itself is the same file: %q, %q, %v", content, same, err)
		}
		if names > 0 && !strings.Contains(string(got), value) {
			t.Errorf("the value is missing")
		}
	})
}
