package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/s3lab"
)

func newLabAdvance(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "advance DURATION", Short: "Move the clock of the running lab", Args: cobra.ExactArgs(1),
		Long: "advance moves the clock of the lab that is running forward: 90m, 12h, 2d. Thaws get ready, copies expire, and storage is billed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := s3lab.ParseDuration(args[0]); err != nil {
				return err
			}
			answer, err := g.orderClock(cmd.Context(), "advance", url.Values{"by": args})
			if err != nil {
				return err
			}
			g.say("It is %s in the lab.", answer.Now.Local().Format("Monday, 2006-01-02 15:04:05"))
			return nil
		},
	}
}

func newLabExpedited(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "expedited off|on", Short: "Say whether the running lab has capacity for Expedited", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] != "on" && args[0] != "off" {
				return fmt.Errorf("expedited %q: want on or off", args[0])
			}
			_, err := g.orderClock(cmd.Context(), "expedited", url.Values{"available": {fmt.Sprint(args[0] == "on")}})
			return err
		},
	}
}

func newLabMove(g *globals) *cobra.Command {
	var bucket string
	cmd := &cobra.Command{
		Use: "move PREFIX CLASS", Short: "Move objects of the running lab to another class, as a lifecycle rule does", Args: cobra.ExactArgs(2),
		Long: `move gives the objects whose keys start with a prefix another class, as a lifecycle rule does. As on S3 they only get colder.
PREFIX is one of the bucket ` + labBucket + `, or s3://bucket/prefix.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			prefix := args[0]
			if rest, ok := strings.CutPrefix(prefix, schemeS3); ok {
				bucket, prefix, _ = strings.Cut(rest, "/")
			}
			answer, err := g.orderClock(cmd.Context(), "move", url.Values{"bucket": {bucket}, "prefix": {prefix}, "class": {args[1]}})
			if err != nil {
				return err
			}
			if answer.Moved == 0 {
				return hinted{fmt.Errorf("nothing was moved: no object of the bucket %s that begins with %q lies in a warmer class than %s", printable(bucket), prefix, args[1]),
					"Look at the bucket and the prefix; objects only get colder."}
			}
			g.say("Moved %s to %s.", formatCount(int64(answer.Moved), "object", "objects"), args[1])
			return nil
		},
	}
	cmd.Flags().StringVar(&bucket, "bucket", labBucket, "bucket of the objects")
	return cmd
}

func newLabBill(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "bill", Short: "Add up what the running lab would have cost on AWS", Args: cobra.NoArgs,
		Long: `bill adds up what everything since the lab was made would have cost on AWS in us-east-1, by the lab's own clock: requests, thaws,
temporary copies, transfer and storage, with overhead and minimum days. A month of storage has 730 hours.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var bill s3lab.Bill
			if err := g.order(cmd.Context(), http.MethodGet, "bill", nil, &bill); err != nil {
				return err
			}
			return g.printBill(&bill)
		},
	}
}

// orderClock gives an order that changes something. With --json it prints the answer.
func (g *globals) orderClock(ctx context.Context, what string, q url.Values) (answer s3lab.ClockAnswer, err error) {
	if err := g.order(ctx, http.MethodPost, what, q, &answer); err != nil {
		return answer, err
	}
	if g.json {
		return answer, g.printJSON(answer)
	}
	return answer, nil
}

// order has a running lab do something, and reads its answer.
func (g *globals) order(ctx context.Context, method, what string, q url.Values, answer any) error {
	at := "http://" + labAddr
	for _, endpoint := range []string{g.getenv("AWS_ENDPOINT_URL_S3"), g.endpoint} {
		if endpoint != "" {
			at = strings.TrimSuffix(endpoint, "/")
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, at+s3lab.ControlPath+what+"?"+q.Encode(), nil)
	if err != nil {
		return fmt.Errorf("asking the lab: %w", err)
	}
	key := g.getenv("AWS_ACCESS_KEY_ID")
	if key == "" {
		key = labAccess
	}
	r.Header.Set(s3lab.ControlKey, key)
	client := &http.Client{Timeout: time.Minute}
	resp, err := client.Do(r)
	if err != nil {
		return hinted{fmt.Errorf("no lab answers on %s: %w", at, bareURL(err)), "`tarn lab` starts one; what it prints says where it is."}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("reading the answer of the lab: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		if resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" { // another server's
			return hinted{fmt.Errorf("what answers on %s is no lab", at), "`tarn lab` prints the variables that lead to it."}
		}
		return fmt.Errorf("the lab says: %s", strings.TrimSpace(string(body)))
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("reading the answer of the lab: %w", err)
	}
	return nil
}

// bareURL strips what net/http puts around an error.
func bareURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
