package s3lab

import (
	"encoding/xml"
	"net/http"
)

// Error is an error of S3: an HTTP status and the code and message of its XML.
type Error struct {
	Status        int
	Code, Message string
	// Class is the object's, where its class is what is wrong.
	Class string
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

var (
	errNoSuchBucket = newError(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
	errNoSuchKey    = newError(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	errNoSuchUpload = newError(http.StatusNotFound, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	errPrecondition = newError(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	errRange        = newError(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable")
	errBadDigest    = newError(http.StatusBadRequest, "BadDigest", "The checksum you specified did not match the calculated checksum.")
	errIncomplete   = newError(http.StatusBadRequest, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header")
	errMalformedXML = newError(http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	errTooSmall     = newError(http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
	errInvalidPart  = newError(http.StatusBadRequest, "InvalidPart", "One or more of the specified parts could not be found, or an entity tag did not match.")
	errInvalidURI   = newError(http.StatusBadRequest, "InvalidURI", "Couldn't parse the specified URI.")
	errSlowDown     = newError(http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	errPartOrder    = newError(http.StatusBadRequest, "InvalidPartOrder", "The list of parts was not in ascending order.")
)

// errWarm is the answer to a thaw of what need not be thawed.
func errWarm(class string) *Error {
	return &Error{http.StatusForbidden, "InvalidObjectState", "Restore is not allowed for the object's current storage class", class}
}

func newError(status int, code, message string) *Error {
	return &Error{Status: status, Code: code, Message: message}
}

func invalidArgument(message string) *Error {
	return newError(http.StatusBadRequest, "InvalidArgument", message)
}

// internal is the answer to an error of the lab's own.
func internal(err error) *Error {
	return newError(http.StatusInternalServerError, "InternalError", err.Error())
}

// orNil is e as an error, without making one of nothing.
func (e *Error) orNil() error {
	if e == nil {
		return nil
	}
	return e
}

type errorBody struct {
	XMLName      xml.Name `xml:"Error"`
	Code         string
	Message      string
	StorageClass string `xml:",omitempty"`
	Resource     string
	RequestID    string `xml:"RequestId"`
}

func writeError(w http.ResponseWriter, r *request, e *Error) {
	if r.Method == http.MethodHead {
		w.WriteHeader(e.Status)
		return
	}
	// The answer to a client that went away is nobody's to act on.
	_ = writeXML(w, e.Status, e.body(r))
}

func (e *Error) body(r *request) errorBody {
	return errorBody{Code: e.Code, Message: e.Message, StorageClass: e.Class, Resource: r.URL.Path, RequestID: "lab"}
}

// writeXML answers with a document. Its result is always nil, so that a
// handler can end in it.
func writeXML(w http.ResponseWriter, status int, doc any) *Error {
	b, err := xml.Marshal(doc)
	if err != nil {
		return newError(http.StatusInternalServerError, "InternalError", err.Error())
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte(xml.Header), b...)) // a client that went away reads nothing
	return nil
}
