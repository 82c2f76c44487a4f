package guard

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// kind says what a type of resource holds that is gone with it.
type kind struct {
	noun      string
	holds     string
	snapshots bool // DeletionPolicy: Snapshot works
}

// emptier is the type of what the CDK makes of autoDeleteObjects: it deletes all that
// is in a bucket, before that goes.
const emptier = "Custom::S3AutoDeleteObjects"

// kinds are the types with data of their own: those that the AWS CDK counts as
// stateful (StatefulResources of its specification), and kin of theirs. The
// types that DeletionPolicy: Snapshot works for are named in CloudFormation's
// reference, at DeletionPolicy. Keys count, since what they encrypt goes with them.
var kinds = map[string]kind{
	"AWS::Backup::BackupVault":                   {"backup vault", "the recovery points in it", false},
	"AWS::Cassandra::Table":                      {"table", "its rows", false},
	"AWS::CloudFormation::Stack":                 {"nested stack", "all that its resources hold", false},
	"AWS::CodeCommit::Repository":                {"repository", "its commits", false},
	"AWS::Cognito::UserPool":                     {"user pool", "its users and their passwords", false},
	"AWS::DSQL::Cluster":                         {"database cluster", "its databases", false},
	"AWS::DocDB::DBCluster":                      {"database cluster", "its databases", true},
	"AWS::DocDB::DBInstance":                     {"database instance", "what its cluster does not hold", false},
	"AWS::DynamoDB::GlobalTable":                 {"table", "its items, in every region", false},
	"AWS::DynamoDB::Table":                       {"table", "its items", false},
	"AWS::EC2::Instance":                         {"machine", "its disks", false},
	"AWS::EC2::Volume":                           {"volume", "what is on it", true},
	"AWS::ECR::Repository":                       {"repository", "the images in it", false},
	"AWS::EFS::FileSystem":                       {"file system", "its files", false},
	"AWS::ElastiCache::CacheCluster":             {"cache", "what is in it", true},
	"AWS::ElastiCache::ReplicationGroup":         {"cache", "what is in it", true},
	"AWS::ElastiCache::ServerlessCache":          {"cache", "what is in it", false},
	"AWS::Elasticsearch::Domain":                 {"search domain", "its indexes", false},
	"AWS::FSx::FileSystem":                       {"file system", "its files", false},
	"AWS::FSx::Volume":                           {"volume", "its files", false},
	"AWS::Glue::Database":                        {"database", "its tables' definitions", false},
	"AWS::KMS::Key":                              {"key", "all that was encrypted with it, which nobody can read any more", false},
	"AWS::KMS::ReplicaKey":                       {"key", "all that was encrypted with it in its region", false},
	"AWS::Kinesis::Stream":                       {"stream", "the records that nobody has read yet", false},
	"AWS::Lightsail::Bucket":                     {"bucket", "the objects in it", false},
	"AWS::Lightsail::Database":                   {"database", "its tables", false},
	"AWS::Logs::LogGroup":                        {"log group", "its logs", false},
	"AWS::MSK::Cluster":                          {"cluster", "the records that nobody has read yet", false},
	"AWS::MemoryDB::Cluster":                     {"database cluster", "what is in it", false},
	"AWS::Neptune::DBCluster":                    {"database cluster", "its databases", true},
	"AWS::Neptune::DBInstance":                   {"database instance", "what its cluster does not hold", false},
	"AWS::OpenSearchServerless::Collection":      {"search collection", "its indexes", false},
	"AWS::OpenSearchService::Domain":             {"search domain", "its indexes", false},
	"AWS::QLDB::Ledger":                          {"ledger", "its documents and their history", false},
	"AWS::RDS::DBCluster":                        {"database cluster", "its databases", true},
	"AWS::RDS::DBInstance":                       {"database", "its tables", true},
	"AWS::RDS::GlobalCluster":                    {"database cluster", "its databases", false},
	"AWS::Redshift::Cluster":                     {"data warehouse", "its tables", true},
	"AWS::Route53::HostedZone":                   {"hosted zone", "its records and name servers", false},
	"AWS::S3::Bucket":                            {"bucket", "the objects in it", false},
	"AWS::S3Express::DirectoryBucket":            {"bucket", "the objects in it", false},
	"AWS::S3Tables::Table":                       {"table", "its rows", false},
	"AWS::S3Tables::TableBucket":                 {"table bucket", "the tables in it", false},
	"AWS::S3Vectors::VectorBucket":               {"vector bucket", "the vectors in it", false},
	"AWS::SDB::Domain":                           {"domain", "its items", false},
	"AWS::SQS::Queue":                            {"queue", "the messages that nobody has processed yet", false},
	"AWS::SSM::Parameter":                        {"parameter", "its value and history", false},
	"AWS::SecretsManager::Secret":                {"secret", "its value", false},
	"AWS::Timestream::Database":                  {"database", "its tables", false},
	"AWS::Timestream::InfluxDBInstance":          {"database", "what is in it", false},
	"AWS::Timestream::Table":                     {"table", "its rows", false},
	"AWS::Backup::LogicallyAirGappedBackupVault": {"backup vault", "the recovery points in it", false},
	"AWS::CloudTrail::EventDataStore":            {"event store", "its events", false},
	"AWS::CodeArtifact::Repository":              {"repository", "the packages in it", false},
	"AWS::VerifiedPermissions::PolicyStore":      {"policy store", "its policies", false},
	"AWS::Rekognition::Collection":               {"collection", "the faces in it", false},
	"AWS::CloudFront::KeyValueStore":             {"key value store", "what is in it", false},
	"AWS::Location::GeofenceCollection":          {"collection", "its geofences", false},
	"AWS::Omics::SequenceStore":                  {"sequence store", "its read sets", false},
	"AWS::APS::Workspace":                        {"workspace", "its metrics", false},
	"AWS::AmazonMQ::Broker":                      {"message broker", "the messages that nobody has processed yet", false},
	"AWS::CloudFormation::StackSet":              {"stack set", "the stacks that it has made, and all that they hold", false},
	"AWS::CodeArtifact::Domain":                  {"domain", "the packages in its repositories", false},
	"AWS::Cognito::IdentityPool":                 {"identity pool", "the ids of its identities, which data elsewhere may be filed under", false},
	"AWS::Cognito::UserPoolUser":                 {"user", "its password and attributes", false},
	"AWS::Connect::Instance":                     {"contact center", "its records and settings", false},
	"AWS::DAX::Cluster":                          {"cache", "what is in it", false},
	"AWS::DocDB::GlobalCluster":                  {"database cluster", "its databases", false},
	"AWS::DocDBElastic::Cluster":                 {"database cluster", "its databases", false},
	"AWS::EC2::KeyPair":                          {"key pair", "its private key, where AWS has made it", false},
	"AWS::ECR::PublicRepository":                 {"repository", "the images in it", false},
	"AWS::EKS::Cluster":                          {"Kubernetes cluster", "its objects, secrets among them", false},
	"AWS::EMR::Cluster":                          {"cluster", "what is on its disks", false},
	"AWS::ElastiCache::GlobalReplicationGroup":   {"cache", "what is in it", false},
	"AWS::Events::Archive":                       {"archive", "the events in it", false},
	"AWS::FSx::Snapshot":                         {"snapshot", "what it keeps of its volume", false},
	"AWS::FSx::StorageVirtualMachine":            {"storage machine", "its volumes' files", false},
	"AWS::Glue::Catalog":                         {"catalog", "its tables' definitions", false},
	"AWS::Glue::Table":                           {"table", "its definition, and its rows where S3 Tables hold them", false},
	"AWS::HealthImaging::Datastore":              {"data store", "the images in it", false},
	"AWS::HealthLake::FHIRDatastore":             {"data store", "its records", false},
	"AWS::IoTAnalytics::Datastore":               {"data store", "what is in it", false},
	"AWS::Kendra::Index":                         {"search index", "its documents", false},
	"AWS::KinesisVideo::Stream":                  {"stream", "its recordings", false},
	"AWS::Lightsail::Disk":                       {"disk", "what is on it", false},
	"AWS::Lightsail::Instance":                   {"machine", "its disk", false},
	"AWS::Logs::LogStream":                       {"log stream", "its logs", false},
	"AWS::MSK::ServerlessCluster":                {"cluster", "the records that nobody has read yet", false},
	"AWS::MSK::Topic":                            {"topic", "the records that nobody has read yet", false},
	"AWS::MediaStore::Container":                 {"container", "the objects in it", false},
	"AWS::MemoryDB::MultiRegionCluster":          {"database cluster", "what is in it", false},
	"AWS::NeptuneGraph::Graph":                   {"graph", "what is in it", false},
	"AWS::NeptuneGraph::GraphSnapshot":           {"snapshot", "what it keeps of its graph", false},
	"AWS::Omics::AnnotationStore":                {"annotation store", "what is in it", false},
	"AWS::Omics::ReferenceStore":                 {"reference store", "what is in it", false},
	"AWS::Omics::VariantStore":                   {"variant store", "what is in it", false},
	"AWS::OpenSearchServerless::Index":           {"search index", "its documents", false},
	"AWS::QBusiness::Index":                      {"search index", "its documents", false},
	"AWS::RedshiftServerless::Namespace":         {"data warehouse", "its tables", false},
	"AWS::RedshiftServerless::Snapshot":          {"snapshot", "what it keeps of its namespace", false},
	"AWS::S3Files::FileSystem":                   {"file system", "its files", false},
	"AWS::S3Outposts::Bucket":                    {"bucket", "the objects in it", false},
	"AWS::S3Tables::Namespace":                   {"namespace", "its tables", false},
	"AWS::S3Vectors::Index":                      {"vector index", "the vectors in it", false},
	"AWS::SageMaker::Domain":                     {"domain", "its users' files", false},
	"AWS::SageMaker::FeatureGroup":               {"feature group", "its records", false},
	"AWS::SageMaker::NotebookInstance":           {"notebook", "what is on its disk", false},
	"AWS::Serverless::Application":               {"nested stack", "all that its resources hold", false},
	"AWS::Serverless::SimpleTable":               {"table", "its items", false},
	"AWS::Timestream::InfluxDBCluster":           {"database cluster", "what is in it", false},
	"AWS::Transfer::Server":                      {"file server", "its users and its host key", false},
	"AWS::WorkSpaces::Workspace":                 {"desktop", "what is on its disks", false},
	emptier:                                      {"custom resource", "the objects in its bucket: when it goes, it empties that", false},
	"AWS::WorkspacesInstances::Volume":           {"volume", "what is on it", false},
}

// traits is what CloudFormation's schema says of a type.
type traits struct {
	// Fixed are the properties whose change replaces the resource
	// (createOnlyProperties); Maybe are those that do so in some cases
	// (conditionalCreateOnlyProperties). Each is a path from the properties, whose
	// steps are parted by slashes.
	Fixed []string `json:"fixed,omitempty"`
	Maybe []string `json:"maybe,omitempty"`
	// Name is the property with the physical name, if one may be given.
	Name string `json:"name,omitempty"`
	// ID are the properties that make the primary identifier, if it is not the name.
	// Those that the service makes are among them.
	ID []string `json:"id,omitempty"`
}

// table.json is made from AWS's resource provider schemas, as cfn-lint ships
// them, by `go test -run TestTable -update`; it says of which version and day.
//
//go:embed table.json
var tableText []byte

var table = sync.OnceValue(func() map[string]traits {
	var t struct{ Types map[string]traits }
	if err := json.Unmarshal(tableText, &t); err != nil {
		panic(fmt.Sprintf("table.json in the program is broken: %v", err)) // which a test would have seen
	}
	return t.Types
})

// Noun is what a person calls a resource of the type.
func Noun(kindOf string) string {
	if k, ok := kinds[kindOf]; ok {
		return k.noun
	}
	parts := strings.Split(kindOf, "::")
	return parts[len(parts)-1]
}

// stateless are the types without data of their own: those that are gone and made
// again without a loss, as far as AWS's reference says. Machines of auto-scaling
// groups, and tasks, count as such: what is on their disks is not meant to stay.
//
//go:embed stateless.txt
var statelessText string

var stateless = sync.OnceValue(func() map[string]bool {
	types := map[string]bool{}
	for name := range strings.Lines(statelessText) {
		types[strings.TrimSpace(name)] = true
	}
	return types
})

// stateful reports whether resources of the type have data that is lost with
// them, or may: of a type that is on no list nobody knows.
func stateful(kindOf string) bool { return !stateless()[kindOf] }

// holds says what is lost with a resource of the type.
func holds(kindOf string) string {
	if k, ok := kinds[kindOf]; ok {
		return k.holds
	}
	if strings.HasPrefix(kindOf, "AWS::") && kindOf != "AWS::CloudFormation::CustomResource" {
		return "whatever it holds: of the type " + kindOf + " it is not known here whether it has data of its own"
	}
	return "whatever it holds: its type is not AWS's own, so that is not known here"
}
