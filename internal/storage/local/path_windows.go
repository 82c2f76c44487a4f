package local

// throughFile is never needed here: Windows says "path not found", which is
// fs.ErrNotExist already.
func throughFile(error) bool { return false }
