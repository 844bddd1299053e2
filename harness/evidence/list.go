package evidence

import (
	"fmt"
	"os"
)

// listForm is how the items of a list stand in its file.
type listForm struct{ open, between, close string }

var (
	arrayList = listForm{"[\n", ",\n", "\n]\n"}
	lineList  = listForm{"", "\n", "\n"}
)

// list is a file of items that is complete after every one of them: an item
// and the end of the list are one write over the list's former end.
type list struct {
	file *os.File
	form listForm
	end  int64 // offset at which the next item goes
}

func newList(path string, form listForm) (*list, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("keep %s: %w", path, err)
	}
	return &list{file: file, form: form}, nil
}

func (l *list) add(item []byte) error {
	lead := l.form.between
	if l.end == 0 {
		lead = l.form.open
	}
	text := append([]byte(lead), item...)
	if _, err := l.file.WriteAt(append(text, l.form.close...), l.end); err != nil {
		return fmt.Errorf("keep %s: %w", l.file.Name(), err)
	}
	l.end += int64(len(text))
	return nil
}

func (l *list) close() error { return l.file.Close() }
