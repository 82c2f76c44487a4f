package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/cloud"
)

// clouds are the flags that all commands below `tarn cloud` have.
type clouds struct {
	*globals
	stack    string
	endpoint string     // of all of AWS
	gate     cloud.Gate // says whether a change set may be executed
	yes      bool
	answers  *bufio.Reader // of whoever sits there, once asked
}

func newCloud(g *globals) *cobra.Command {
	c := &clouds{globals: g}
	c.gate = c.guardChanges
	cmd := &cobra.Command{
		Use:   "cloud",
		Short: "Make and keep a bucket of your own on AWS, with the least privilege",
		Long: `cloud makes a bucket on AWS by CloudFormation, with a user for each machine that may write and read but not delete, and sets this machine
up to use it: after ` + "`tarn cloud deploy`" + ` the next command is ` + "`tarn backup`" + `. It shows what will change before anything does.

It uses the credentials of the AWS CLI: those of a person who may deploy, which ` + "`tarn cloud policy --deployer`" + ` spells out. The
keys that it makes are written once, into a profile of their own that only you can read; they are never printed.` + "\n" + exitCodes,
	}
	f := cmd.PersistentFlags()
	f.StringVar(&c.stack, "stack", cloud.DefaultStack, "name of the CloudFormation stack")
	f.StringVar(&g.region, "region", "", "region of the stack and its bucket, here the same as --aws-region (also AWS_REGION)")
	f.StringVar(&g.profile, "profile", "", "profile of the AWS configuration whose credentials deploy, here the same as --aws-profile (also AWS_PROFILE)")
	f.StringVar(&c.endpoint, "endpoint", "", "URL of a server that stands in for all of AWS; --s3-endpoint has no meaning here (also AWS_ENDPOINT_URL)")
	cmd.AddCommand(newCloudTemplate(c), newCloudPlan(c), newCloudDeploy(c), newCloudStatus(c), newCloudPolicy(c), newCloudBootstrap(c), newCloudRotate(c), newCloudDestroy(c))
	for _, each := range cmd.Commands() {
		c.aimErrors(each)
	}
	return cmd
}

// account opens the account that the flags name.
func (c *clouds) account(ctx context.Context) (*cloud.Account, error) {
	if err := cloud.CheckStack(c.stack); err != nil {
		return nil, hinted{err, "Name the stack with --stack."}
	}
	return c.open(ctx)
}

// open opens the account for a stack of any name.
func (c *clouds) open(ctx context.Context) (*cloud.Account, error) {
	cfg := cloud.Config{Profile: c.profile, Region: c.region, Endpoint: c.endpoint, Now: c.now, Logger: c.log}
	if c.password != nil {
		cfg.Token = func() (string, error) { return c.ask("Code of the second factor: ") }
	}
	return cloud.Open(ctx, cfg)
}

// warn says what somebody should know, whatever the output is like.
func (c *clouds) warn(format string, args ...any) {
	fmt.Fprintf(c.stderr, "tarn: "+format+"\n", args...)
}

// agree asks a person, unless --yes was given. What happens if they say no is
// that nothing happens.
func (c *clouds) agree(question string) error {
	if c.yes {
		return nil
	}
	if c.password == nil {
		return hinted{errors.New("there is no terminal to ask on, and nothing was done"), "Add --yes to go on without a question."}
	}
	answer, err := c.ask(question + " [y/N] ")
	if err == nil && answer != "y" && answer != "yes" {
		err = errors.New("nothing was done")
	}
	return err
}

// place is where the stack is, for policies. Whose account it is takes a
// request, unless the user says.
func (c *clouds) place(ctx context.Context, a *cloud.Account) (cloud.Place, error) {
	return a.Place(ctx, c.stack)
}

// hintCloud says what to do about an error of AWS; "" if it knows nothing.
func hintCloud(err error) string {
	if hint := hintWay(err); hint != "" {
		return hint
	}
	permission := cloud.Permission(err)
	switch {
	case errors.Is(err, cloud.ErrRole):
		return "Look at the ARN in --role and at the account. `tarn cloud bootstrap` makes such a role, which CloudFormation may take."
	case errors.Is(err, cloud.ErrTooBig):
		return "Name a bucket of yours in that region by --template-bucket: tarn puts the template there for as long as CloudFormation takes to read it. Or write it as JSON without spaces (`jq -c`), if it fits then."
	case errors.Is(err, cloud.ErrNoUser):
		return "Another machine's number goes on (--users, --machine), and `tarn cloud destroy` works. To have the same user again, an administrator makes it: `aws iam create-user --user-name NAME --permissions-boundary ARN`, with `aws iam put-user-policy --policy-name repository` and what `tarn cloud policy --machine` prints."
	case errors.Is(err, cloud.ErrRolledBack) && permission != "":
		return "Whoever administers the account can allow " + permission + " (`tarn cloud policy --execution`). Then remove what is left with `tarn cloud destroy`, and deploy again."
	case permission != "":
		return "Whoever administers the account can allow " + permission + ": `tarn cloud policy --deployer` and `--execution` print all that is needed."
	case errors.Is(err, cloud.ErrRolledBack):
		return "Nothing of it is in use. Remove it with `tarn cloud destroy`, mend what the message says, and run `tarn cloud deploy` again."
	case errors.Is(err, cloud.ErrQuota):
		return "Remove what nobody needs any more, or ask AWS for more (Service Quotas in the console), and run the same command again."
	case errors.Is(err, cloud.ErrProtected):
		return "Somebody has put it on so that nobody does this by mistake. `aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name NAME` takes it off."
	case errors.Is(err, cloud.ErrUnderWay):
		return "Wait until that has ended (`tarn cloud status`), and run the same command again."
	case errors.Is(err, cloud.ErrStuck):
		return "Look at the stack's events in the CloudFormation console: what they name has to be mended or released by hand there. Then `tarn cloud destroy` goes on with a deletion, and `aws cloudformation continue-update-rollback` with a rollback."
	case errors.Is(err, cloud.ErrNoStack):
		return "`tarn cloud deploy` makes it; --stack and --region name another."
	case errors.Is(err, cloud.ErrNoBucket):
		return "It was deleted outside of CloudFormation, with what was in it: make another stack with --stack NAME."
	case errors.Is(err, cloud.ErrNameTaken):
		return "Name another one, such as --stack tarn2, or remove what has the name if it is yours and empty."
	case errors.Is(err, cloud.ErrTooManyKeys):
		return "`tarn cloud status` lists them; `tarn cloud rotate --remove KEY` disables and removes the one that no machine uses any more."
	}
	return ""
}

// hintWay says what to do about what is wrong before AWS looks at a request:
// credentials, the region, the network.
func hintWay(err error) string {
	switch {
	case errors.Is(err, cloud.ErrNoProfile):
		return "Name one of those in ~/.aws/config and ~/.aws/credentials: --profile or AWS_PROFILE."
	case errors.Is(err, cloud.ErrNoCredentials):
		return "Log in first: `aws configure` or `aws sso login`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile by --profile."
	case errors.Is(err, cloud.ErrClock):
		return "Set this machine's clock, which is off by minutes or more: AWS takes a request for a quarter of an hour only (`timedatectl set-ntp true` keeps it right)."
	case errors.Is(err, cloud.ErrMFA):
		return "Run it on a terminal, where it asks for the code; or have the AWS CLI do that before: `eval \"$(aws configure export-credentials --profile NAME --format env)\"`, and leave --profile and AWS_PROFILE out here."
	case errors.Is(err, cloud.ErrNotAWS):
		return "Look whether a proxy (HTTPS_PROXY) or a network that wants a login first stands in between, and at --endpoint and AWS_ENDPOINT_URL if you name a server."
	case errors.Is(err, cloud.ErrTLS):
		return "Look at the server (--endpoint, AWS_ENDPOINT_URL) and the proxy (HTTPS_PROXY), and whether it is http or https. The certificate of a company's own authority is trusted if AWS_CA_BUNDLE names its file."
	case errors.Is(err, cloud.ErrCredentials):
		return "Look at the credentials (--profile, AWS_PROFILE, AWS_ACCESS_KEY_ID); where they expire, log in again (`aws sso login`)."
	case errors.Is(err, cloud.ErrNoRegion):
		return "Name the region that is nearest to you, such as --region eu-central-1, or set AWS_REGION. `tarn cost prices` compares what they cost."
	case errors.Is(err, cloud.ErrRegion):
		return "Look at the name in --region or AWS_REGION; some regions have to be enabled in the account first."
	case errors.Is(err, cloud.ErrNoNetwork):
		return "Look at the network, and at the name of the region (--region): a misspelt one has no servers. Nothing was changed by this request; the same command goes on."
	}
	return ""
}
