package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// botoSteps asks the same of any server, and prints what each request came to:
// its status, and the code of its error or what is said of the thaw. Where the
// server has a clock, it moves it.
const botoSteps = `
import os, sys, urllib.request, boto3
from botocore.exceptions import ClientError
from botocore.config import Config
from boto3.s3.transfer import TransferConfig

url, bucket = os.environ["AWS_ENDPOINT_URL_S3"], sys.argv[1]
s3 = boto3.client("s3", endpoint_url=url, config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}))

def advance(by):
    if len(sys.argv) > 2:
        urllib.request.urlopen(urllib.request.Request(url + "/-/advance?by=" + by, method="POST", headers={"X-Tarn-Lab-Key": os.environ["AWS_ACCESS_KEY_ID"]}))

def step(name, call, show=lambda r: ""):
    try:
        r = call()
        print(name + ":", r["ResponseMetadata"]["HTTPStatusCode"], show(r))
    except ClientError as e:
        r = e.response
        print(name + ":", r["ResponseMetadata"]["HTTPStatusCode"], r["Error"]["Code"], r["Error"].get("StorageClass", r.get("StorageClass", "")))

def thaw(key, tier, days=1):
    return s3.restore_object(Bucket=bucket, Key=key, RestoreRequest={"Days": days, "GlacierJobParameters": {"Tier": tier}})

def head(key):
    return s3.head_object(Bucket=bucket, Key=key)

def listed(**more):
    def call():
        return s3.list_objects_v2(Bucket=bucket, **more)
    def show(r):
        return " ".join("%s %s %s" % (o["Key"], o["StorageClass"], o.get("RestoreStatus", {}).get("IsRestoreInProgress", "-")) for o in r["Contents"])
    return call, show

step("put warm", lambda: s3.put_object(Bucket=bucket, Key="warm", Body=b"w"))
step("put cold", lambda: s3.put_object(Bucket=bucket, Key="cold", Body=b"content", StorageClass="GLACIER"))
step("put deep", lambda: s3.put_object(Bucket=bucket, Key="deep", Body=b"content", StorageClass="DEEP_ARCHIVE"))
step("head", lambda: head("cold"), lambda r: "%s %s" % (r["StorageClass"], r.get("Restore")))
step("get", lambda: s3.get_object(Bucket=bucket, Key="cold"))
step("copy from cold", lambda: s3.copy_object(Bucket=bucket, Key="copy", CopySource=bucket + "/cold"))
step("thaw absent", lambda: thaw("absent", "Bulk"))
step("thaw warm", lambda: thaw("warm", "Bulk"))
if len(sys.argv) > 2:
    step("thaw 0 days", lambda: thaw("cold", "Bulk", 0))
    step("thaw in a wrong tier", lambda: thaw("cold", "Fast"))
step("thaw", lambda: thaw("cold", "Bulk"))
if len(sys.argv) > 2:
    step("thaw again", lambda: thaw("cold", "Bulk"))
    step("thaw faster", lambda: thaw("cold", "Expedited"))
    step("head", lambda: head("cold"), lambda r: r["Restore"])
    call, show = listed(OptionalObjectAttributes=["RestoreStatus"])
    step("list", call, show)
    step("thaw deep fast", lambda: thaw("deep", "Expedited"))
advance("12h")
step("head thawed", lambda: head("cold"), lambda r: r["Restore"].split(",")[0])
step("get thawed", lambda: s3.get_object(Bucket=bucket, Key="cold"), lambda r: r["Body"].read().decode())
step("thaw longer", lambda: thaw("cold", "Bulk", 5))
step("copy from thawed", lambda: s3.copy_object(Bucket=bucket, Key="copy", CopySource=bucket + "/cold", StorageClass="STANDARD_IA"))
step("get copy", lambda: s3.get_object(Bucket=bucket, Key="copy"), lambda r: r["Body"].read().decode())
step("overwrite", lambda: s3.put_object(Bucket=bucket, Key="cold", Body=b"new", StorageClass="GLACIER"))
step("get overwritten", lambda: s3.get_object(Bucket=bucket, Key="cold"))
call, show = listed()
step("list", call, show)
step("list in version 1", lambda: s3.list_objects(Bucket=bucket, MaxKeys=2), lambda r: " ".join(o["Key"] + " " + o["StorageClass"] for o in r["Contents"]))
s3.upload_fileobj(open(sys.argv[0], "rb"), bucket, "parts", ExtraArgs={"StorageClass": "DEEP_ARCHIVE"}, Config=TransferConfig(multipart_threshold=1))
step("get parts", lambda: s3.get_object(Bucket=bucket, Key="parts"))
step("delete", lambda: s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "cold"}, {"Key": "copy"}]}), lambda r: len(r["Deleted"]))
step("thaw deleted", lambda: thaw("cold", "Bulk"))
`

// botoAnswers are those of S3, as its reference has them.
const botoAnswers = `
put warm: 200
put cold: 200
put deep: 200
head: 200 GLACIER None
get: 403 InvalidObjectState GLACIER
copy from cold: 403 InvalidObjectState GLACIER
thaw absent: 404 NoSuchKey
thaw warm: 403 InvalidObjectState STANDARD
thaw 0 days: 400 MalformedXML
thaw in a wrong tier: 400 MalformedXML
thaw: 202
thaw again: 409 RestoreAlreadyInProgress
thaw faster: 202
head: 200 ongoing-request="true"
list: 200 cold GLACIER True deep DEEP_ARCHIVE - warm STANDARD -
thaw deep fast: 400 InvalidArgument
head thawed: 200 ongoing-request="false"
get thawed: 200 content
thaw longer: 200
copy from thawed: 200
get copy: 200 content
overwrite: 200
get overwritten: 403 InvalidObjectState GLACIER
list: 200 cold GLACIER - copy STANDARD_IA - deep DEEP_ARCHIVE - warm STANDARD -
list in version 1: 200 cold GLACIER copy STANDARD_IA
get parts: 403 InvalidObjectState DEEP_ARCHIVE
delete: 200 2
thaw deleted: 404 NoSuchKey
`

// python skips the test if Python has no boto3 here, or fails if the
// environment requires programs.
func python(t *testing.T, u *labUser) string {
	t.Helper()
	program := storagetest.Program(t, "python3")
	if code, out := u.run(program, "-c", "import boto3"); code != 0 {
		if os.Getenv(storagetest.RequirePrograms) == "1" {
			t.Fatal(out)
		}
		t.Skip("Python has no boto3")
	}
	e2e.Write(t, filepath.Join(u.dir, "steps.py"), []byte(botoSteps))
	return program
}

func botoLines(s string) []string {
	var lines []string
	for line := range strings.Lines(strings.TrimSpace(s)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// TestLabBoto3: every code of S3 arrives at boto3 as that of S3.
func TestLabBoto3(t *testing.T) {
	inLabs(t, func(u *labUser) {
		_, out := u.run(python(u.t, u), "steps.py", u.end.Bucket, "clock")
		compareLines(u.t, botoLines(out), botoLines(botoAnswers))
	})
}

func compareLines(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("got  %s\nwant %s", g, w)
		}
	}
}

// TestMotoAgrees: a second opinion on what the lab answers, by people who read
// the same reference. What moto does otherwise is listed here, with the reason
// why the lab does not follow.
func TestMotoAgrees(t *testing.T) {
	others := map[string]string{
		// The reference lists this code; what people report of S3 is InvalidObjectState.
		"copy from cold": "403 ObjectNotInActiveTierError",
	}
	u := &labUser{t: t, dir: e2e.Scratch(t), end: storagetest.Moto(t)}
	_, out := u.run(python(t, u), "steps.py", u.end.Bucket)
	var want []string
	skipped := map[string]bool{
		"thaw again": true, "thaw faster": true, "thaw deep fast": true, // moto thaws at once
		"thaw 0 days": true, "thaw in a wrong tier": true, // and does not look at what it is asked
	}
	for _, line := range botoLines(botoAnswers) {
		name, _, _ := strings.Cut(line, ":")
		if skipped[name] || strings.HasPrefix(line, `head: 200 ongoing`) || strings.HasPrefix(line, "list: 200 cold GLACIER True") {
			continue
		}
		if other, ok := others[name]; ok {
			line = name + ": " + other
			delete(others, name)
		}
		want = append(want, line)
	}
	compareLines(t, botoLines(out), want)
	for name := range others {
		t.Errorf("%s is no step", name)
	}
}
