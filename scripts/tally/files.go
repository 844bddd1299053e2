package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// countFiles adds up files of both kinds, told apart by their names.
func countFiles(names []string) (Count, error) {
	var sum Count
	for _, name := range names {
		c, err := countFile(name)
		if err != nil {
			return sum, fmt.Errorf("count %s: %w", name, err)
		}
		sum.add(c)
	}
	return sum, nil
}

func countFile(name string) (Count, error) {
	f, err := os.Open(name)
	if err != nil {
		return Count{}, err
	}
	defer f.Close()
	if strings.HasSuffix(name, ".xml") {
		return countJUnit(f)
	}
	return follow(f, io.Discard)
}

// countJUnit counts the cases of a JUnit file, however deep its suites lie.
func countJUnit(in io.Reader) (Count, error) {
	var count Count
	for d := xml.NewDecoder(in); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count, nil
		}
		if err != nil {
			return count, err
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "testcase" {
			continue
		}
		var c struct {
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
			Skipped *struct{} `xml:"skipped"`
		}
		if err := d.DecodeElement(&c, &start); err != nil {
			return count, err
		}
		switch {
		case c.Failure != nil || c.Error != nil:
			count.Failed++
		case c.Skipped != nil:
			count.Skipped++
		default:
			count.Passed++
		}
	}
}
