package tarball

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// spoolSize is what a list may take in memory.
const spoolSize = 4 << 20

// spool keeps the lines of a list until it is known whether they are wanted: in
// memory, and in a file without a name from a size on.
type spool struct {
	buf  bytes.Buffer
	file *os.File
	size int64
}

func (s *spool) add(name string) error {
	s.buf.Write(AppendName(nil, name))
	s.size += int64(len(name)) + 1
	if s.buf.Len() < spoolSize {
		return nil
	}
	return s.flush()
}

func (s *spool) flush() (err error) {
	if s.file == nil {
		s.file, err = os.CreateTemp("", "tarn-list-*")
	}
	if err == nil {
		_, err = s.buf.WriteTo(s.file)
	}
	if err != nil {
		return fmt.Errorf("keeping the list of files in the temporary folder (TMPDIR names another): %w", err)
	}
	return nil
}

// reader returns the lines, which an empty list has one of, as `echo` prints it.
func (s *spool) reader() (r io.Reader, size int64, err error) {
	if s.size == 0 {
		return bytes.NewReader([]byte("\n")), 1, nil
	}
	if s.file == nil {
		return bytes.NewReader(s.buf.Bytes()), s.size, nil
	}
	if err := s.flush(); err != nil {
		return nil, 0, err
	}
	return io.NewSectionReader(s.file, 0, s.size), s.size, nil
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}
