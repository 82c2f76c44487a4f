package cloud

import (
	"context"
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
	if e.kind != nil {
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
	case e.code == "NoSuchBucket":
		e.kind = ErrNoBucket
	case e.code == "ValidationError" && strings.Contains(e.message, "TerminationProtection"):
		e.kind = ErrProtected
	case e.code == "NoSuchEntity", e.code == "ValidationError" && strings.Contains(e.message, "does not exist"):
		e.kind = os.ErrNotExist
	}
	return e
}

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
	if noName || noWay {
		return fmt.Errorf("%w: %w", ErrNoNetwork, innermost(err))
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
		return ErrNoCredentials
	}
	return fmt.Errorf("%w: %w", ErrCredentials, err)
}
