package main

import (
	"os"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// TestCloudAims: commands that messages name go to the stack that the message is
// about, as they stand there.
func TestCloudAims(t *testing.T) {
	const said = "`tarn cloud deploy` makes it, `tarn cloud policy --apply --stack s` too, and `tarn backup`; `tarn cloud deploy --role R`."
	for _, test := range []struct {
		c    clouds
		want string
	}{
		{clouds{globals: &globals{}, stack: "tarn"}, said},
		{clouds{globals: &globals{region: "eu-west-1", profile: "it's me"}, stack: "home", endpoint: "http://me:secret@x:1"},
			"`tarn cloud deploy --stack home --region eu-west-1 --profile 'it'\\''s me' --endpoint 'http://…@x:1'` makes it, " +
				"`tarn cloud policy --apply --stack s --region eu-west-1 --endpoint 'http://…@x:1'` too, and `tarn backup`; " +
				"`tarn cloud deploy --role R --stack home --region eu-west-1 --profile 'it'\\''s me' --endpoint 'http://…@x:1'`."},
	} {
		if got := test.c.aim(said); got != test.want {
			t.Errorf("%s\nwant %s", got, test.want)
		}
	}

	h := &heard{person: deployer(t, storagetest.Moto(t).URL)}
	where := []string{"--stack", "hint", "--region", "eu-west-1"}
	run := func(want string, args ...string) {
		t.Helper()
		_, out, errs := h.run(append(append([]string{"cloud"}, args...), where...)...)
		if !strings.Contains(out+errs, want) {
			t.Errorf("%v: no %q in\n%s", args, want, out+errs)
		}
	}
	run("`tarn cloud deploy --stack hint --region eu-west-1` makes it", "status")
	h.mustDo(append([]string{"cloud", "deploy", "--yes", "--only-stack", "--users", "2"}, where...)...)
	run("`tarn cloud deploy --machine 2 --stack hint --region eu-west-1` on that machine", "status")
	if err := os.MkdirAll(h.path("home", ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.path("home", ".aws", "credentials"), []byte("[tarn-hint]\n[tarn-hint]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("delete the other one or give it another name", "status")
	if err := os.Remove(h.path("home", ".aws", "credentials")); err != nil {
		t.Fatal(err)
	}
	run("`tarn cloud status --stack hint --region eu-west-1` lists its machines", "rotate", "--machine", "3")
	run("`tarn cloud deploy --machine 2 --stack hint --region eu-west-1` makes a first key", "rotate", "--machine", "2")
}
