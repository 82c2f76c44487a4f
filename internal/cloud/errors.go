package cloud

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"

	"github.com/tarn-backup/tarn"
)

// What a user can mend.
var (
	// ErrNoCredentials says that no credentials are set.
	ErrNoCredentials = errors.New("there are none")
	// ErrCredentials says that credentials can't be had, or that AWS does not
	// take them, whatever they would allow.
	ErrCredentials = errors.New("AWS refuses the credentials")
	// ErrNoProfile says that the AWS configuration lacks the profile.
	ErrNoProfile = errors.New("no such profile")
	// ErrNoRegion says that nobody has named a region.
	ErrNoRegion = errors.New("no region is named")
	// ErrRegion says that the region is none, or one that the account has not enabled.
	ErrRegion = errors.New("the region is none of this account's")
	// ErrNoNetwork says that there is no way to AWS from here.
	ErrNoNetwork = errors.New("there is no way to AWS from here")
	// ErrClock says that this machine's clock and AWS's differ by too much.
	ErrClock = errors.New("AWS refuses the request for its time")
	// ErrMFA says that a profile wants a code of a second factor, which nobody was there to give.
	ErrMFA = errors.New("the profile wants a code of its second factor (mfa_serial)")
	// ErrNotAWS says that something else answers in the place of AWS.
	ErrNotAWS = errors.New("what answers is not AWS")
	// ErrTLS says that the encryption of the way to AWS can't be set up.
	ErrTLS = errors.New("there is no trusted TLS to AWS")
	// ErrRole says that CloudFormation can't take the role that it is to work with.
	ErrRole = errors.New("CloudFormation can't take the role")
	// ErrQuota says that the account has as many of something as it may.
	ErrQuota = errors.New("the account has as many of that as it may")
	// ErrNoUser says that a user of the stack was deleted, and not by CloudFormation.
	ErrNoUser = errors.New("the user was deleted outside of CloudFormation")
	// ErrLoose says that a boundary bounds less than it should.
	ErrLoose = errors.New("users and roles of the stack could get rights beyond what tarn has there")
	// ErrTooBig says that a template does not fit into a request.
	ErrTooBig = errors.New("the template is too big for a request")
	// ErrNoStack says that there is no stack of that name.
	ErrNoStack = errors.New("there is no such stack")
	// ErrRolledBack says that a stack was never made: it takes no update any more.
	ErrRolledBack = errors.New("the stack is what is left of one that could not be made")
	// ErrNoBucket says that there is no bucket of that name.
	ErrNoBucket = errors.New("there is no such bucket")
	// ErrUnderWay says that somebody is changing the stack just now.
	ErrUnderWay = errors.New("the stack is being changed just now")
	// ErrStuck says that a stack can be mended by hand only.
	ErrStuck = errors.New("the stack is stuck")
	// ErrProtected says that a stack can't be deleted before its protection is off.
	ErrProtected = errors.New("its termination protection is on")
	// ErrNotBegun says that CloudFormation has not begun to delete a stack.
	ErrNotBegun = errors.New("AWS does not delete it")
	// ErrNameTaken says that something of that name exists already.
	ErrNameTaken = errors.New("the name is taken")
	// ErrRefused says that what CloudFormation would do is not to be done.
	ErrRefused = errors.New("refused")
	// ErrTooManyKeys says that a user has all access keys that it may have.
	ErrTooManyKeys = errors.New("the user has two access keys already, which is as many as there may be")
)

// apiError is an error that AWS has answered, with what it means.
type apiError struct {
	kind       error  // the sentinel that callers know it by, or nil
	permission string // what is missing, such as iam:CreateUser; "" if it is something else
	code       string
	message    string
	cause      error
}

// Error implements error.
func (e *apiError) Error() string {
	var parts []string
	switch e.kind {
	case nil, os.ErrNotExist: // whose words are about files
	case tarn.ErrDenied: // whose words are about storage
		parts = append(parts, "access denied")
	default:
		parts = append(parts, e.kind.Error())
	}
	if e.permission != "" {
		parts = append(parts, "the permission "+e.permission+" is missing")
	}
	return strings.Join(append(parts, fmt.Sprintf("AWS says %s: %s", e.code, e.message)), ": ")
}

// Unwrap returns the sentinel and the cause.
func (e *apiError) Unwrap() []error {
	if e.kind == nil {
		return []error{e.cause}
	}
	return []error{e.kind, e.cause}
}

// Permission returns the IAM action that err says is missing; "" if it does not.
func Permission(err error) string {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e.permission
	}
	if e, ok := errors.AsType[*StackError](err); ok {
		return e.Permission
	}
	return ""
}

// unauthorized is how AWS names the action that a policy lacks.
var unauthorized = regexp.MustCompile(`not authorized to perform: ([a-z0-9-]+:[A-Za-z0-9]+)`)

// The codes of answers, which differ by the protocol of the service.
var (
	credentialCodes = []string{
		"InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException",
		"InvalidToken", "UnrecognizedClientException", "IncompleteSignature", "MissingAuthenticationToken", "AuthFailure",
	}
	deniedCodes = []string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
	clockCodes  = []string{"RequestTimeTooSkewed", "RequestExpired"}
	quotaCodes  = []string{"LimitExceeded", "LimitExceededException", "ServiceQuotaExceededException"}
	takenCodes  = []string{"EntityAlreadyExists", "AlreadyExistsException", "BucketAlreadyExists", "BucketAlreadyOwnedByYou"}
)

// explain turns an error of the SDK into one that says what it means.
func explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if missing, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return fmt.Errorf("%w: %q", ErrNoProfile, missing.Profile)
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return explainNetwork(err)
	}
	e := &apiError{code: api.ErrorCode(), message: api.ErrorMessage(), cause: err}
	switch {
	case slices.Contains(clockCodes, e.code), wrongTime.MatchString(e.message) && slices.Contains(credentialCodes, e.code):
		e.kind = ErrClock
	case slices.Contains(credentialCodes, e.code):
		e.kind = ErrCredentials
	case slices.Contains(deniedCodes, e.code):
		e.kind, e.permission = tarn.ErrDenied, missingAction(err, e.message)
	case slices.Contains(takenCodes, e.code):
		e.kind = ErrNameTaken
	case e.code == "OptInRequired", e.code == "AuthorizationHeaderMalformed", e.code == "PermanentRedirect":
		e.kind = ErrRegion
	case e.code == "LimitExceeded" && strings.Contains(e.message, "AccessKeys"):
		e.kind = ErrTooManyKeys
	case slices.Contains(quotaCodes, e.code):
		e.kind = ErrQuota
	case e.code == "UnknownError": // the SDK's word for an answer without a code
		e.kind = ErrNotAWS
	case e.code == "ValidationError" && strings.Contains(e.message, "cannot be assumed"):
		e.kind = ErrRole
	case e.code == "NoSuchBucket":
		e.kind = ErrNoBucket
	case e.code == "ValidationError" && strings.Contains(e.message, "TerminationProtection"):
		e.kind = ErrProtected
	case e.code == "NoSuchEntity", e.code == "ValidationError" && strings.Contains(e.message, "does not exist"):
		e.kind = os.ErrNotExist
	}
	return e
}

// wrongTime is how AWS says that a signature is of another time than now.
var wrongTime = regexp.MustCompile(`Signature (expired|not yet current)`)

// missingAction is the IAM action that was refused: as AWS names it, else as
// the request is called.
func missingAction(err error, message string) string {
	if m := unauthorized.FindStringSubmatch(message); m != nil {
		return m[1]
	}
	op, ok := errors.AsType[*smithy.OperationError](err)
	if !ok {
		return ""
	}
	action := op.Operation()
	switch action { // whose actions have names of their own
	case "ListObjectsV2":
		action = "ListBucket"
	case "ListObjectVersions":
		action = "ListBucketVersions"
	case "HeadBucket":
		action = "ListBucket"
	}
	service := strings.ToLower(op.Service())
	if service == "cloudcontrol" { // whose actions are CloudFormation's
		service = "cloudformation"
	}
	return service + ":" + action
}

func explainNetwork(err error) error {
	_, noName := errors.AsType[*net.DNSError](err)
	_, noWay := errors.AsType[*net.OpError](err)
	record, noTLS := errors.AsType[tls.RecordHeaderError](err)
	untrusted, noTrust := errors.AsType[*tls.CertificateVerificationError](err)
	garbled, noSense := errors.AsType[*xml.SyntaxError](err)
	switch {
	case noTLS:
		return fmt.Errorf("%w: %w", ErrTLS, record)
	case noTrust:
		return fmt.Errorf("%w: %w", ErrTLS, untrusted)
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"): // which net/http has no type for
		return fmt.Errorf("%w: the server speaks http", ErrTLS)
	case noName || noWay:
		return fmt.Errorf("%w: %w", ErrNoNetwork, innermost(err))
	case noSense:
		return fmt.Errorf("%w: %w", ErrNotAWS, garbled)
	case strings.Contains(err.Error(), "AssumeRoleTokenProvider"): // which the SDK has no type for
		return ErrMFA
	}
	return err
}

// innermost is what the network has said, without the SDK's layers around it.
func innermost(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	dns, _ := errors.AsType[*net.DNSError](err)
	return dns
}

// explainCredentials says why there are no credentials.
func explainCredentials(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	// The last that the SDK asks is the machine it runs on: nothing else is set.
	case strings.Contains(err.Error(), "EC2 IMDS"):
		return fmt.Errorf("%w%s", ErrNoCredentials, halfSet())
	}
	known := explain(err)
	for _, kind := range []error{ErrClock, ErrMFA, ErrNotAWS, ErrTLS, ErrNoNetwork, tarn.ErrDenied} {
		if errors.Is(known, kind) {
			return known
		}
	}
	return fmt.Errorf("%w: %w", ErrCredentials, err)
}

// halfSet names the half of the credentials that is set without the other.
func halfSet() string {
	id, secret := os.Getenv("AWS_ACCESS_KEY_ID") != "", os.Getenv("AWS_SECRET_ACCESS_KEY") != ""
	switch {
	case id && !secret:
		return ": AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not"
	case secret && !id:
		return ": AWS_SECRET_ACCESS_KEY is set, and AWS_ACCESS_KEY_ID is not"
	}
	return ""
}
