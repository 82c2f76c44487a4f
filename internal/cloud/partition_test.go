package cloud_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/cloud"
)

// TestPartition: ARNs begin as those of the region's part of AWS do, and S3 has
// its name there, too.
func TestPartition(t *testing.T) {
	for region, want := range map[string][]string{
		"eu-central-1":   {"aws", "s3.eu-central-1.amazonaws.com"},
		"mx-central-1":   {"aws", "s3.mx-central-1.amazonaws.com"},
		"us-gov-west-1":  {"aws-us-gov", "s3.us-gov-west-1.amazonaws.com"},
		"cn-north-1":     {"aws-cn", "s3.cn-north-1.amazonaws.com", "s3.cn-north-1.amazonaws.com.cn"},
		"eusc-de-east-1": {"aws-eusc", "s3.eusc-de-east-1.amazonaws.com", "s3.eusc-de-east-1.amazonaws.eu"},
		"us-iso-east-1":  {"aws-iso", "s3.us-iso-east-1.amazonaws.com", "s3.us-iso-east-1.c2s.ic.gov"},
		"us-isob-east-1": {"aws-iso-b", "s3.us-isob-east-1.amazonaws.com", "s3.us-isob-east-1.sc2s.sgov.gov"},
		"eu-isoe-west-1": {"aws-iso-e", "s3.eu-isoe-west-1.amazonaws.com", "s3.eu-isoe-west-1.cloud.adc-e.uk"},
		"us-isof-east-1": {"aws-iso-f", "s3.us-isof-east-1.amazonaws.com", "s3.us-isof-east-1.csp.hci.ic.gov"},
	} {
		if got := cloud.Partition(region); got != want[0] || cloud.CheckPartition(region) != nil {
			t.Errorf("%s: %s, want %s", region, got, want[0])
		}
		p := cloud.NewPlace(region, "123456789012", "tarn")
		p.Key = "arn:" + want[0] + ":kms:" + region + ":123456789012:key/k"
		for _, kind := range []cloud.Kind{cloud.Machine, cloud.Boundary} {
			list := statements(t, p, kind)
			if via := list[len(list)-1].Condition["StringEquals"]["kms:ViaService"]; !slices.Equal(via, want[1:]) || !strings.HasPrefix(list[0].Resource[0], "arn:"+want[0]+":s3:::") {
				t.Errorf("%s, %s: %v of %v", region, kind, via, list[0].Resource)
			}
		}
	}
	for _, region := range []string{"zz-west-1", "us-isox-east-1", "global"} {
		if err := cloud.CheckPartition(region); err == nil {
			t.Errorf("%s is in %q", region, cloud.Partition(region))
		}
	}
}

// TestPlace: the partition is the one that AWS names for the credentials.
func TestPlace(t *testing.T) {
	for arn, want := range map[string]string{
		"arn:aws-new:iam::123456789012:user/me": "aws-new", "arn:aws:iam::123456789012:user/me": "aws", "": "aws", "none": "aws",
	} {
		a, _ := answering(t, map[string][]string{"GetCallerIdentity": {"<Arn>" + arn + "</Arn><Account>123456789012</Account>"}})
		p, err := a.Place(t.Context(), "tarn")
		if err != nil || p.Partition != want || !strings.HasPrefix(p.Boundary(), "arn:"+want+":iam::123456789012:policy/") {
			t.Errorf("%s: %s, %v", arn, p.Boundary(), err)
		}
	}
}

// TestTakenElsewhere: a queue is asked for at the server of its own partition.
func TestTakenElsewhere(t *testing.T) {
	asked := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err == nil && r.Form.Get("Action") == "GetCallerIdentity" {
			fmt.Fprint(w, "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws-eusc:iam::123456789012:user/me</Arn><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>")
			return
		}
		b := make([]byte, 1000)
		n, _ := r.Body.Read(b)
		asked = string(b[:n])
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(s.Close)
	if _, err := open(t, s.URL).Taken(t.Context(), "AWS::SQS::Queue", "q"); err == nil {
		t.Error("a server that fails says it is free")
	}
	if !strings.Contains(asked, "https://sqs.eu-west-1.amazonaws.eu/123456789012/q") {
		t.Error(asked)
	}
}
