package guard

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write table.json anew from the schemas of cfn-lint")

// namedTypes are types without data whose hard-coded names collide all the same, or
// whose replacement is worth a reason.
var namedTypes = []string{
	"AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api", "AWS::AppSync::GraphQLApi", "AWS::Athena::WorkGroup", "AWS::Budgets::Budget", "AWS::CloudFront::Distribution",
	"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::CodeBuild::Project", "AWS::CodePipeline::Pipeline", "AWS::Cognito::UserPoolClient",
	"AWS::EC2::SecurityGroup", "AWS::ECS::Cluster", "AWS::ECS::Service", "AWS::ECS::TaskDefinition", "AWS::ElasticLoadBalancingV2::LoadBalancer",
	"AWS::ElasticLoadBalancingV2::TargetGroup", "AWS::Events::EventBus", "AWS::Events::Rule", "AWS::Glue::Crawler", "AWS::Glue::Job",
	"AWS::IAM::AccessKey", "AWS::IAM::Group", "AWS::IAM::InstanceProfile", "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::Role", "AWS::IAM::User",
	"AWS::KMS::Alias", "AWS::KinesisFirehose::DeliveryStream", "AWS::Lambda::Alias", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function", "AWS::Lambda::LayerVersion",
	"AWS::Lambda::Permission", "AWS::S3::BucketPolicy", "AWS::SNS::Subscription", "AWS::SNS::Topic", "AWS::SQS::QueuePolicy", "AWS::Scheduler::Schedule",
	"AWS::StepFunctions::StateMachine", "AWS::SES::EmailIdentity", "AWS::CertificateManager::Certificate", "AWS::WAFv2::WebACL",
}

// schemas prints the traits of the types that it is given on stdin.
const schemas = `
import json, sys, importlib.metadata, datetime
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER as all
def paths(list): return sorted(p.removeprefix("/properties/") for p in list)
known, types = set(all.get_resource_types("us-east-1")), {}
for name in json.load(sys.stdin):
    if name not in known: continue
    s = all.get_resource_schema("us-east-1", name).schema
    fixed, maybe = paths(s.get("createOnlyProperties", [])), paths(s.get("conditionalCreateOnlyProperties", []))
    hidden = paths(s.get("readOnlyProperties", []))
    t = {}
    if fixed: t["fixed"] = fixed
    if maybe: t["maybe"] = maybe
    id = paths(s.get("primaryIdentifier", []))
    own = [p for p in fixed if p.endswith("Name") and "/" not in p and name.split("::")[-1].endswith(p.removesuffix("Name"))]
    if len(id) == 1 and id[0] not in hidden and id[0] in s["properties"]: t["name"] = id[0]
    elif own: t["name"] = own[0]
    # The queue's and the topic's are made of their names.
    if "name" in t and s.get("primaryIdentifier") and name not in ("AWS::SQS::Queue", "AWS::SNS::Topic"):
        order = [p.removeprefix("/properties/") for p in s["primaryIdentifier"]]
        if order != [t["name"]]: t["id"] = order
    types[name] = t
json.dump({"source": "resource provider schemas of us-east-1, as cfn-lint " + importlib.metadata.version("cfn-lint") + " ships them",
           "date": datetime.date.today().isoformat(), "types": types}, sys.stdout, indent=1, sort_keys=True)
`

// TestTable: the table lacks nothing that the schemas on this machine say.
func TestTable(t *testing.T) {
	types := slices.Sorted(maps.Keys(kinds))
	types = append(types, namedTypes...)
	in, err := json.Marshal(types)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-c", schemas)
	cmd.Stdin = bytes.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	switch {
	case err != nil && os.Getenv("TARN_REQUIRE_PROGRAMS") == "1":
		t.Fatalf("cfn-lint's schemas can't be read: %v\n%s", err, errs.Bytes())
	case err != nil:
		t.Skipf("cfn-lint's schemas can't be read: %v", err)
	}
	if *update {
		if err := os.WriteFile("table.json", append(out, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	var now struct{ Types map[string]traits }
	if err := json.Unmarshal(out, &now); err != nil || len(now.Types) < 80 {
		t.Fatalf("%d types, %v", len(now.Types), err)
	}
	for name, want := range now.Types {
		got := table()[name]
		for _, p := range append(slices.Clone(want.Fixed), want.Maybe...) {
			if !slices.Contains(got.Fixed, p) && !slices.Contains(got.Maybe, p) {
				t.Errorf("%s: a change of %s replaces it, which table.json does not say: run `go test -run TestTable -update`", name, p)
			}
		}
		if got.Name != want.Name || !slices.Equal(got.ID, want.ID) {
			t.Errorf("%s: its name is in %q (id %q), in table.json %q (%q)", name, want.Name, want.ID, got.Name, got.ID)
		}
	}
}
