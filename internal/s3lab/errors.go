package s3lab

import (
	"encoding/xml"
	"net/http"
)

// Error is an error of S3: an HTTP status and the code and message of its XML.
type Error struct {
	Status        int
	Code, Message string
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

var (
	errNoSuchBucket = &Error{http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist"}
	errNoSuchKey    = &Error{http.StatusNotFound, "NoSuchKey", "The specified key does not exist."}
	errNoSuchUpload = &Error{http.StatusNotFound, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."}
	errPrecondition = &Error{http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"}
	errRange        = &Error{http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable"}
	errBadDigest    = &Error{http.StatusBadRequest, "BadDigest", "The checksum you specified did not match the calculated checksum."}
	errIncomplete   = &Error{http.StatusBadRequest, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header"}
	errMalformedXML = &Error{http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"}
	errTooSmall     = &Error{http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"}
	errInvalidPart  = &Error{http.StatusBadRequest, "InvalidPart", "One or more of the specified parts could not be found, or an entity tag did not match."}
	errPartOrder    = &Error{http.StatusBadRequest, "InvalidPartOrder", "The list of parts was not in ascending order."}
)

func invalidArgument(message string) *Error {
	return &Error{http.StatusBadRequest, "InvalidArgument", message}
}

type errorBody struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Resource  string
	RequestID string `xml:"RequestId"`
}

func writeError(w http.ResponseWriter, r *request, e *Error) {
	if r.Method == http.MethodHead {
		w.WriteHeader(e.Status)
		return
	}
	// The answer to a client that went away is nobody's to act on.
	_ = writeXML(w, e.Status, errorBody{Code: e.Code, Message: e.Message, Resource: r.URL.Path, RequestID: "lab"})
}

// writeXML answers with a document. Its result is always nil, so that a
// handler can end in it.
func writeXML(w http.ResponseWriter, status int, doc any) *Error {
	b, err := xml.Marshal(doc)
	if err != nil {
		return &Error{http.StatusInternalServerError, "InternalError", err.Error()}
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte(xml.Header), b...)) // a client that went away reads nothing
	return nil
}
