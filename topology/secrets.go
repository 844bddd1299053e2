package topology

func (l *loader) secrets(f File, content []byte) {}
