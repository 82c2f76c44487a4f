package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/cloud/guard"
)

// planFlags are those of `tarn cloud plan`.
type planFlags struct {
	template   string
	stack      stackFlags // of tarn's own template
	given      func(name string) bool
	parameters []string
	role       string
	bucket     string
	execute    bool
	yes        bool
}

func newCloudPlan(c *clouds) *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Say what a template would do to a stack, and which data that would lose",
		Long: `plan has CloudFormation make a change set of a template, yours or tarn's, and says what is added, changed, replaced and removed: with the data
that goes with that, why, and how to avoid it. It compares the deployed template with the new one by itself, too, and the worse of both
counts. Then it deletes the change set again: nothing has changed.

Without --template it is tarn's own, with the flags of ` + "`tarn cloud deploy`" + `, which shows the same and asks before it goes on.

With --execute the plan is carried out, after a question or with --yes. What replaces or removes a bucket, a table or anything else that
has data of its own takes more: somebody has to type its name, for each. So does a bucket whose lifecycle would delete sooner, since S3
then empties it by itself. No flag does that. A plan whose names are taken is refused, since it would fail.

What loses nothing yet but may later is marked "look at this": a DeletionPolicy that no longer retains, a bucket that is opened, versions
that end, a lock that gets weaker, logs or backups that are kept for less, a user whose keys end. Macros of a template run already when
it is planned, and no flag has to allow the roles, users and policies that it makes: look at them before --execute. Where macros (Transform) make more of a template than it shows, what they make of it is judged.

CloudFormation takes a template of more than 51,200 bytes, as the CDK often makes them, from a bucket only: with --template-bucket it is
put there for as long as the change set takes to be made, and removed again. That wants s3:PutObject, s3:GetObject and s3:DeleteObject of
BUCKET/tarn-*.template, which ` + "`tarn cloud policy --deployer`" + ` has not, as tarn's own template is small. In a versioned bucket an old version stays.

Exit codes, so that a script can tell: 0 the plan loses nothing, or was carried out; 1 failed, or --execute was refused; 3 the plan would
lose data or fail, or has something to look at; 130 interrupted.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.given = cmd.Flags().Changed
			return c.plan(cmd.Context(), f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.template, "template", "", "file with the template that the stack is to have (default: tarn's own, as the flags below say)")
	fl.StringArrayVar(&f.parameters, "parameter", nil, "NAME=VALUE of a parameter of the template (default: as the stack has it)")
	fl.StringVar(&f.bucket, "template-bucket", "", "bucket that a template of more than 51,200 bytes is put into for the plan, in the stack's region")
	fl.StringVar(&f.role, "role", "", "ARN of the role that CloudFormation works with")
	fl.BoolVar(&f.execute, "execute", false, "carry the plan out")
	f.stack.register(fl)
	fl.BoolVar(&f.yes, "yes", false, "with --execute: do it without a question, unless data would be lost")
	return cmd
}

func (c *clouds) plan(ctx context.Context, f planFlags) error {
	if f.template == "" && f.execute {
		return hinted{errors.New("--execute wants --template"), "`tarn cloud deploy` plans tarn's own template, and carries it out."}
	}
	check := cloud.CheckStack
	if f.template != "" {
		check = cloud.CheckAnyStack
	}
	if err := errors.Join(check(c.stack), cloud.CheckRole(f.role)); err != nil {
		return hinted{err, "Name the stack with --stack, and the role by its ARN with --role."}
	}
	if err := f.stack.check(f.given); err != nil {
		return err
	}
	if err := f.fits(); err != nil {
		return err
	}
	a, err := c.open(ctx)
	if err != nil {
		return err
	}
	p, err := c.proposal(ctx, a, f)
	if err != nil {
		return err
	}
	set, err := a.Propose(ctx, p)
	if errors.Is(err, cloud.ErrNoChange) {
		if c.json {
			return c.printJSON(typedPlan{"plan", &guard.Plan{Stack: c.stack, Changes: []guard.Change{}}})
		}
		c.say("stack %s: nothing changes", c.stack)
		return nil
	} else if errors.Is(err, cloud.ErrNoBucket) {
		return hinted{err, "Look at the name in --template-bucket, at the account and at the region: the bucket has to be in the stack's."}
	} else if err != nil {
		return err
	}
	plan, err := c.judge(ctx, a, set, p.Parameters)
	if err != nil || !f.execute {
		err = errors.Join(err, a.Discard(context.WithoutCancel(ctx), set))
		if err == nil && len(plan.Dangers())+len(plan.Collisions())+len(plan.Risky()) > 0 {
			return errProblems
		}
		return err
	}
	return c.carryOut(ctx, a, set, plan, f.yes)
}

// fits refuses flags that would be ignored.
func (f *planFlags) fits() error {
	if f.template == "" {
		if len(f.parameters) > 0 {
			return hinted{errors.New("--parameter wants --template"), "tarn's own template has no parameters: its flags say what it is to have."}
		}
		if f.bucket != "" {
			return hinted{errors.New("--template-bucket wants --template"), "tarn's own template fits into a request."}
		}
		return nil
	}
	if f.bucket != "" {
		if err := checkBucket(f.bucket); err != nil {
			return hinted{err, "Name a bucket of yours by --template-bucket, without s3:// before it."}
		}
	}
	fl := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(stackFlags).register(fl)
	var own []string
	fl.VisitAll(func(each *pflag.Flag) {
		if f.given(each.Name) {
			own = append(own, "--"+each.Name)
		}
	})
	if len(own) > 0 {
		return hinted{fmt.Errorf("%s: of tarn's own template, and not of %s", strings.Join(own, ", "), f.template), "Leave it out, or leave --template out."}
	}
	return nil
}

// proposal reads what a stack is to be.
func (c *clouds) proposal(ctx context.Context, a *cloud.Account, f planFlags) (p cloud.Proposal, err error) {
	if f.template == "" {
		o, err := c.wanted(ctx, a, deployFlags{stack: f.stack, given: f.given})
		if err != nil {
			return p, err
		}
		text, err := o.Template()
		return cloud.Proposal{Stack: c.stack, Template: text, Role: f.role}, err
	}
	text, err := os.ReadFile(f.template)
	if err != nil {
		return p, fmt.Errorf("reading the template %s: %w", f.template, bare(err))
	}
	t, err := guard.ParseTemplate(text)
	if err != nil {
		return p, fmt.Errorf("%s: %w", f.template, err)
	}
	p = cloud.Proposal{Stack: c.stack, Template: string(text), Role: f.role, Parameters: map[string]string{}, Known: t.Parameters(), Named: true, Bucket: f.bucket}
	for _, each := range f.parameters {
		name, value, ok := strings.Cut(each, "=")
		if !ok {
			return p, fmt.Errorf("--parameter %s: want NAME=VALUE", each)
		}
		p.Parameters[name] = value
	}
	return p, nil
}

// typedPlan is a plan among the other documents that a command prints.
type typedPlan struct {
	Type string `json:"type"`
	*guard.Plan
}

// judge says what a change set would do, and prints it.
func (c *clouds) judge(ctx context.Context, a *cloud.Account, set *cloud.ChangeSet, parameters map[string]string) (*guard.Plan, error) {
	plan, err := guard.Look(ctx, a.Asker(), guard.Request{
		Stack: set.Stack, Template: []byte(set.Template), Parameters: parameters, ChangeSet: set.ID, Changes: set.Changes,
		Taken: func(ctx context.Context, n guard.Named) (bool, error) { return a.Taken(ctx, n.Type, n.ID) },
	})
	if err != nil {
		return nil, err
	}
	if c.json {
		plan.Changes = orEmpty(plan.Changes)
		return plan, c.printJSON(typedPlan{"plan", plan})
	}
	return plan, plan.Print(c.stdout)
}

// guardChanges is the gate that every change set of tarn's own stack has to
// pass: it shows what would be done, and asks for the name of all that would be lost.
func (c *clouds) guardChanges(ctx context.Context, a *cloud.Account, set *cloud.ChangeSet) error {
	plan, err := c.judge(ctx, a, set, nil)
	if err != nil {
		return err
	}
	return c.consent(plan, c.yes)
}

// typist returns what asks whoever sits there, and reads a line.
func (c *clouds) typist() func(question string) (string, error) {
	if c.answers == nil {
		c.answers = bufio.NewReader(c.stdin) // one for all answers: it reads ahead
	}
	return func(question string) (string, error) {
		fmt.Fprint(c.stderr, question)
		line, err := c.answers.ReadString('\n')
		if err == io.EOF && line != "" {
			err = nil
		}
		return line, err
	}
}

// consent has whoever sits there agree to a plan. What loses data takes its
// name, typed, whatever the flags are.
func (c *clouds) consent(plan *guard.Plan, yes bool) error {
	ask := c.typist()
	if err := plan.Consent(ask); err != nil {
		return hinted{err, "The plan says under \"avoid\" how to go on without a loss."}
	}
	if yes || len(plan.Dangers()) > 0 {
		return nil
	}
	answer, err := ask("Go on? [y/N] ")
	if err != nil {
		return hinted{fmt.Errorf("there is no terminal to ask on: %w", guard.ErrRefused), "Add --yes to go on without a question."}
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer == "y" || answer == "yes" {
		return nil
	}
	return hinted{fmt.Errorf("not carried out: %w", guard.ErrRefused), "Answer y, or add --yes to go on without a question."}
}

// carryOut executes a plan if somebody agrees to it.
func (c *clouds) carryOut(ctx context.Context, a *cloud.Account, set *cloud.ChangeSet, plan *guard.Plan, yes bool) error {
	if err := c.consent(plan, yes); err != nil {
		return errors.Join(err, a.Discard(context.WithoutCancel(ctx), set))
	}
	if err := a.Execute(ctx, set, nil, c.tell); err != nil {
		return err
	}
	c.say("stack %s: done", set.Stack)
	return nil
}
