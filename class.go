package tarn

import "fmt"

// Class is a storage class, by S3's name for it.
type Class string

// The storage classes that tarn knows.
const (
	Standard           Class = "STANDARD"
	StandardIA         Class = "STANDARD_IA"
	OneZoneIA          Class = "ONEZONE_IA"
	IntelligentTiering Class = "INTELLIGENT_TIERING"
	GlacierIR          Class = "GLACIER_IR"
	Glacier            Class = "GLACIER"
	DeepArchive        Class = "DEEP_ARCHIVE"
)

// Classes lists the storage classes that tarn knows, warm ones first.
var Classes = []Class{Standard, StandardIA, OneZoneIA, IntelligentTiering, GlacierIR, Glacier, DeepArchive}

// Cold reports whether an object of the class has to be thawed before it can be read.
func (c Class) Cold() bool { return c == Glacier || c == DeepArchive }

// ParseClass reads the name of a storage class.
func ParseClass(s string) (Class, error) {
	for _, c := range Classes {
		if string(c) == s {
			return c, nil
		}
	}
	return "", fmt.Errorf("storage class %q: want one of %v", s, Classes)
}
