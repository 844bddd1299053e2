package evidence

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// fresh is a secret that exists for this test only.
func fresh(t testing.TB, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func TestAKnownSecretIsGoneInEveryForm(t *testing.T) {
	for _, secret := range []string{`p"a's\s <w>&örd 17`, fresh(t, 32), "correct-horse-battery"} {
		var r Redactor
		r.Add(secret)
		quoted, _ := json.Marshal(secret)
		raw := []byte(secret)
		if b, err := base64.StdEncoding.DecodeString(secret); err == nil {
			raw = b
		}
		for name, form := range map[string]string{
			"plain":            secret,
			"JSON":             string(quoted[1 : len(quoted)-1]),
			"Go":               strings.Trim(strconv.Quote(secret), `"`),
			"query":            url.QueryEscape(secret),
			"path":             url.PathEscape(secret),
			"hex":              hex.EncodeToString([]byte(secret)),
			"HEX":              strings.ToUpper(hex.EncodeToString([]byte(secret))),
			"hex of its bytes": hex.EncodeToString(raw),
			"base64":           base64.RawStdEncoding.EncodeToString([]byte(secret))[:len(secret)],
			"its bytes":        string(raw),
			"basic":            base64.StdEncoding.EncodeToString([]byte("a:" + secret))[4 : len(secret)+2],
			"basic, two":       base64.StdEncoding.EncodeToString([]byte("ab:" + secret))[4 : len(secret)+2],
			"basic, three":     base64.StdEncoding.EncodeToString([]byte("abc:" + secret))[6 : len(secret)+2],
		} {
			text := "before " + form + " after"
			if name == "base64" || strings.HasPrefix(name, "basic") {
				// Cut to what any alignment must hide; shown within its whole.
				pad := map[string]string{"base64": "", "basic": "a:", "basic, two": "ab:", "basic, three": "abc:"}[name]
				text = base64.StdEncoding.EncodeToString([]byte(pad + secret))
			}
			if got := r.String(text); strings.Contains(got, form) {
				t.Errorf("%s of %q is still there: %q", name, secret, got)
			}
		}
		if got := r.String("before " + secret + " after"); got != "before "+dots+" after" {
			t.Errorf("the text around it changed: %q", got)
		}
	}
}

func TestAShapeIsRedacted(t *testing.T) {
	key, other := fresh(t, 32), fresh(t, 32)
	uuid := "0b9f5f6e-1c2d-4a3b-9e8f-7a6b5c4d3e2f"
	for text, secret := range map[string]string{
		"[Interface]\nPrivateKey = " + key:                                                    key,
		"PresharedKey=" + key:                                                                 key,
		"private_key=" + hex.EncodeToString([]byte(key)):                                      hex.EncodeToString([]byte(key)),
		`{"privateKey": "` + key + `"}`:                                                       key,
		"wg0\t" + key + "\t" + other + "\t51820\toff":                                         key,
		key + "\t" + other + "\t51820\t0xca6c":                                                key,
		"wg0\t" + other + "\t" + key + "\t1.2.3.4:5\t10.0.0.1/32\t0\t":                        key,
		"-----BEGIN PRIVATE KEY-----\n" + key + "\n-----END PRIVATE KEY-----":                 key,
		"-----BEGIN OPENSSH PRIVATE KEY-----\n" + key + "\n-----END OPENSSH PRIVATE KEY-----": key,
		"-----BEGIN RSA PRIVATE KEY-----\n" + key + "\n" + key:                                key,
		`"-----BEGIN EC PRIVATE KEY-----\n` + key:                                             key,
		"password=hunter22":                                                                   "hunter22",
		"PBS_PASSWORD='two words'":                                                            "two words",
		`{"password":"hunt\"er22"}`:                                                           `hunt\"er22`,
		"  password: hunter22":                                                                "hunter22",
		"remote: home\n\tpassword aHVudGVyMjI=\n":                                             "aHVudGVyMjI=",
		"Authorization: PBSAPIToken=a@pbs!t:" + uuid:                                          uuid,
		"PVEAPIToken=root@pam!t=" + uuid:                                                      uuid,
		"root@pam!sync:" + uuid:                                                               uuid,
		"Cookie: PBSAuthCookie=PBS%3Aroot; x":                                                 "PBS%3Aroot",
		"PBS:root@pam:65A1B2C3::c2lnbmF0dXJl":                                                 "c2lnbmF0dXJl",
		"CSRFPreventionToken: 65A1B2C3:abcdef":                                                "65A1B2C3:abcdef",
		`{"kdf":null,"data":"` + key + `"}`:                                                   key,
		"Authorization: Basic cm9vdDpodW50ZXIyMg==":                                           "cm9vdDpodW50ZXIyMg==",
		"https://root:hunter22@pbs:8007":                                                      "hunter22",
		"POST /message?token=AbCdEf123":                                                       "AbCdEf123",
		"root:$y$j9T$abcdefghij$klmnopqrstuv:19000:0":                                         "$y$j9T$abcdefghij$klmnopqrstuv",
		"$6$rounds=5000$salt1234$hashhashhash":                                                "hashhashhash",
		"AGE-SECRET-KEY-1QQQQQQQQQQQQ":                                                        "QQQQQQQQQQQQ",
	} {
		var r Redactor
		if got := r.String(text); strings.Contains(got, secret) {
			t.Errorf("%q keeps its secret: %q", text, got)
		}
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	for _, text := range []string{
		"PublicKey = " + fresh(t, 32),
		"PrivateKey = @{wg.vps.private}",
		"  preshared key: (hidden)",
		"PasswordAuthentication no",
		"PermitRootLogin prohibit-password",
		"root at vps: keys only; seen: password accepted",
		"root logs in by password: refused",
		"vps:/etc/iptables/rules.v4:12",
		"[2001:db8:20::1]:8007 pbs TLS 8a:12:bd:1b",
		"tcp dport 22 ct state new limit rate 4/minute accept",
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
		"the price is $15, $20",
	} {
		var r Redactor
		r.Add(fresh(t, 32))
		if got := r.String(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestArgvHidesTheValueAfterItsOption(t *testing.T) {
	var r Redactor
	got := r.Argv([]string{"client", "--password", "hunter22", "--token=x", "--repository", "vps"})
	if strings.Join(got, " ") != "client --password "+dots+" --token=x --repository vps" {
		t.Errorf("argv: %q", got)
	}
}

func TestASecretSplitOverWritesIsGone(t *testing.T) {
	secret := fresh(t, 32)
	pem := "-----BEGIN PRIVATE KEY-----\n" + fresh(t, 3000) + "\n-----END PRIVATE KEY-----"
	filler := strings.Repeat("a line of no interest\n", 400)
	var text strings.Builder
	for text.Len() < 3*window {
		text.WriteString(filler + secret + "\n" + pem + "\nPresharedKey = " + secret[:20] + "\n")
	}
	for _, size := range []int{1 << 10, 4093, window + 1} {
		var r Redactor
		r.Add(secret)
		var out, counted bytes.Buffer
		w, b := r.Writer(&out), r.Binary(&counted)
		for rest := text.String(); rest != ""; {
			n := min(size, len(rest))
			mustWrite(t, w, rest[:n])
			mustWrite(t, b, rest[:n])
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string]string{"text": out.String(), "binary": counted.String()} {
			if strings.Contains(got, secret) || strings.Contains(got, pem[40:80]) || strings.Contains(got, secret[:20]) {
				t.Errorf("%s in writes of %d keeps a secret", name, size)
			}
			if strings.Count(got, "a line of no interest\n") != strings.Count(text.String(), "a line of no interest\n") {
				t.Errorf("%s in writes of %d lost something else", name, size)
			}
		}
		if counted.Len() != text.Len() {
			t.Errorf("binary has %d bytes, want %d", counted.Len(), text.Len())
		}
	}
}

func TestASecretWithoutAnEndEndsTheStream(t *testing.T) {
	var r Redactor
	var out bytes.Buffer
	w := r.Writer(&out)
	mustWrite(t, w, "kept\n-----BEGIN PRIVATE KEY-----\n")
	for range 40 {
		mustWrite(t, w, strings.Repeat("QUJDREVGR0g=\n", 1000))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Contains(got, "QUJD") || !strings.HasPrefix(got, "kept\n") || !strings.Contains(got, "left out") {
		t.Errorf("stream: %.200q", got)
	}
}

func mustWrite(t *testing.T, w interface{ Write([]byte) (int, error) }, text string) {
	t.Helper()
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestACutSecretIsGone(t *testing.T) {
	var r Redactor
	r.Add("correct-horse-battery")
	if got := string(r.Cut([]byte("it is correct-hor"))); got != "it is "+dots {
		t.Errorf("cut: %q", got)
	}
}

func FuzzRedactJSON(f *testing.F) {
	f.Add("a", `b"c`)
	f.Add("password", "correct-horse-battery")
	f.Add(`PrivateKey = "`, "\xff\\")
	f.Fuzz(func(t *testing.T, key, value string) {
		var r Redactor
		r.Add("correct-horse-battery")
		text, err := json.Marshal(map[string]any{key: value, "n": 1, "list": []string{value, key}})
		if err != nil {
			t.Skip()
		}
		got := redactJSON(text, r.String)
		if !json.Valid(got) {
			t.Errorf("%s became %s, which is no JSON", text, got)
		}
		if strings.Contains(string(got), "correct-horse-battery") {
			t.Errorf("%s keeps its secret", got)
		}
	})
}
