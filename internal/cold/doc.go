// Package cold thaws archives: it finds out what state they are in, says what
// each tier of a thaw costs and when it would be ready, and asks for just what
// is frozen. It keeps no state: what S3 says of its objects is all there is, so
// a run that was killed goes on, and a second one pays for nothing twice.
package cold
