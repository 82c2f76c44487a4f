package guard

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestKinds: no type is on both lists, and what sounds like data is on neither but for
// what was looked at.
func TestKinds(t *testing.T) {
	sounds := regexp.MustCompile(`(Bucket|Table|Cluster|Namespace|Disk|Database|Datastore|Store|Graph|Volume|FileSystem|Domain|Repository|Vault|Index|Collection|Snapshot|Workspace|Archive|Secret|Stream|Queue)$`)
	harmless := map[string]bool{}
	for _, name := range strings.Fields("AppSync::ChannelNamespace CloudFront::TrustStore CloudWatch::MetricStream Cognito::UserPoolDomain EC2::LocalGatewayRouteTable EC2::RouteTable " +
		"EC2::TransitGatewayMulticastDomain EC2::TransitGatewayRouteTable ECS::Cluster ElasticLoadBalancingV2::TrustStore KinesisFirehose::DeliveryStream MSK::BatchScramSecret " +
		"Route53::CidrCollection ServiceDiscovery::HttpNamespace ServiceDiscovery::PrivateDnsNamespace ServiceDiscovery::PublicDnsNamespace Batch::JobQueue MediaConvert::Queue") {
		harmless["AWS::"+name] = true
	}
	list := slices.Sorted(maps.Keys(stateless()))
	if len(list) < 700 {
		t.Fatalf("%d types", len(list))
	}
	for _, name := range list {
		if _, both := kinds[name]; both || sounds.MatchString(name) && !harmless[name] {
			t.Errorf("%s counts as without data", name)
		}
	}
}

// TestUnknownTypes: what has no data goes without ado; of what is on no list tarn
// says so, and asks for its name.
func TestUnknownTypes(t *testing.T) {
	with := func(kind string) string {
		return "Resources: {Q: {Type: 'AWS::SQS::Queue'}, A: {Type: '" + kind + "'}}"
	}
	const without = "Resources: {Q: {Type: 'AWS::SQS::Queue'}}"
	for _, kind := range strings.Fields(`AWS::IAM::Role AWS::IAM::Policy AWS::Lambda::Function AWS::Lambda::Version AWS::Lambda::Permission AWS::CloudWatch::Alarm AWS::Logs::MetricFilter
		AWS::ApiGateway::RestApi AWS::ApiGateway::Deployment AWS::ApiGateway::Method AWS::Events::Rule AWS::SNS::Topic AWS::SNS::Subscription AWS::SQS::QueuePolicy AWS::S3::BucketPolicy
		AWS::CloudFormation::WaitCondition AWS::CloudFormation::WaitConditionHandle AWS::CDK::Metadata AWS::EC2::SecurityGroup AWS::EC2::Subnet AWS::EC2::LaunchTemplate AWS::ECS::Service
		AWS::ECS::TaskDefinition AWS::StepFunctions::StateMachine AWS::CloudFront::Distribution Custom::LogRetention Custom::S3BucketNotifications AWS::Serverless::Function`) {
		if p := judge(t, with(kind), without, nil); len(p.Dangers()) != 0 {
			t.Errorf("%s", p.text(t))
		}
	}
	for kind, want := range map[string]string{
		"AWS::S3Outposts::Bucket": "the objects in it", "AWS::Glue::Table": "its definition", "AWS::CloudFormation::StackSet": "the stacks that it has made", "AWS::Lightsail::Instance": "its disk",
		"AWS::New::Thing": "of the type AWS::New::Thing it is not known here whether it has data of its own", "AWS::IoT::Thing": "not known here", "AWS::Serverless::SimpleTable": "its items",
		"Custom::Thing": "its type is not AWS's own", "AWS::CloudFormation::CustomResource": "its type is not AWS's own", "Other::Own::Bucket": "its type is not AWS's own",
	} {
		if p := judge(t, with(kind), without, nil); len(p.Dangers()) != 1 || p.Consent(nobody) == nil || !strings.Contains(p.text(t), want) {
			t.Errorf("want %q in\n%s", want, p.text(t))
		}
	}
}
