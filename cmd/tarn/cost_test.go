package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/price"
)

// here returns the globals of a person without any settings but these.
func here(t *testing.T, vars map[string]string) (*globals, *bytes.Buffer) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AppData", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
	var out bytes.Buffer
	e := &env{stdin: strings.NewReader(""), stdout: &out, stderr: &out, getenv: func(name string) string { return vars[name] }}
	return &globals{env: e}, &out
}

// TestPricesOf: whose prices count, and that nobody else's do.
func TestPricesOf(t *testing.T) {
	for _, test := range []struct {
		location, region string
		flags            globals
		env              map[string]string
		want             string // provider/region; "none" for a place that costs nothing
		about            string // of the error
	}{
		{location: "/home/me/repo", want: "none"},
		{location: "/home/me/repo", flags: globals{priceOf: "aws/us-east-2"}, want: "aws/us-east-2"},
		{location: "s3://b/x", region: "us-west-2", want: "aws/us-west-2"},
		{location: "s3://b/x", region: "us-west-2", flags: globals{region: "us-east-1"}, want: "aws/us-west-2"},
		{location: "s3://b/x", flags: globals{region: "us-east-1"}, want: "aws/us-east-1"},
		{location: "s3://b/x", env: map[string]string{"AWS_DEFAULT_REGION": "us-east-2"}, want: "aws/us-east-2"},
		{location: "s3://b/x", region: "us-west-2", flags: globals{priceOf: "aws/us-east-1"}, want: "aws/us-east-1"},
		{location: "s3://b/x", about: "the region of the bucket is not"},
		{location: "s3://b/x", region: "eu-west-3", about: "no prices known for aws/eu-west-3: name some with --prices aws/us-east-1"},
		{location: "s3://b/x at https://minio.lan:9000", region: "us-east-1", about: "no prices known for minio.lan:9000: name some with --prices aws/us-east-1"},
		{location: "s3://b/x at http://127.0.0.1:9444", region: "us-east-1", about: "no prices known for 127.0.0.1:9444: name"},
		{location: "s3://b/x at http://[::1]:9444", region: "us-east-1", about: "no prices known for [::1]:9444: name"},
		{location: "s3://b/x at http://127.0.0.1:9444", region: "us-east-1", flags: globals{priceOf: "aws/us-east-1"}, want: "aws/us-east-1"},
		{location: "s3://b/x at https://s3.us-east-2.amazonaws.com", region: "us-east-1", want: "aws/us-east-2"},
		{location: "s3://b/x", region: "us-east-1", flags: globals{endpoint: "https://MINIO.lan"}, about: "no prices known for MINIO.lan: name"},
		{location: "s3://b/x", region: "us-east-1", env: map[string]string{"AWS_ENDPOINT_URL": "https://s3.fr-par.scw.cloud"}, about: "no prices known for scaleway/fr-par: name"},
		{location: "s3://b/x", region: "us-east-1", flags: globals{endpoint: "minio"}, about: "want a URL"},
		{location: "s3://b/x", flags: globals{priceOf: "us-east-1"}, about: "want PROVIDER/REGION"},
		{location: "s3://b/x", flags: globals{priceOf: "gcs/us-east-1"}, about: `provider "gcs" (there are aws, ovh, scaleway)`},
	} {
		g, _ := here(t, test.env)
		g.priceOf, g.region, g.endpoint = test.flags.priceOf, test.flags.region, test.flags.endpoint
		p, err := g.prices(test.location, test.region)
		switch {
		case test.about != "":
			if err == nil || !strings.Contains(err.Error(), test.about) {
				t.Errorf("%+v: %v, %v", test, p, err)
			}
		case err != nil:
			t.Errorf("%+v: %v", test, err)
		case test.want == "none":
			if p != nil {
				t.Errorf("%+v: %v", test, p)
			}
		case p == nil || p.Provider+"/"+p.Region != test.want:
			t.Errorf("%+v: %+v", test, p)
		}
	}
}

const offersFolder = "../../internal/price/testdata"

// TestFetchPrices: prices come from servers with TLS, whole or not at all.
func TestFetchPrices(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(offersFolder)))
	mux.HandleFunc("/moved.json", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/s3.json", http.StatusFound) })
	mux.HandleFunc("/plain.json", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Host+"/s3.json", http.StatusFound)
	})
	mux.HandleFunc("/loop.json", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop.json", http.StatusFound) })
	mux.HandleFunc("/cut.json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100000")
		fmt.Fprint(w, `{"products":{`)
	})
	srv := httptest.NewTLSServer(mux)
	defer srv.Close()
	client := srv.Client()
	client.CheckRedirect = onlyHTTPS
	g, out := here(t, nil)
	update := func(names ...string) error {
		var urls []string
		for _, n := range names {
			urls = append(urls, srv.URL+"/"+n)
		}
		return g.costUpdate(context.Background(), client, nil, urls)
	}
	if err := update("moved.json", "deep.json", "transfer.json"); err != nil || !strings.Contains(out.String(), "eu-central-1: 45 prices") {
		t.Fatalf("%v\n%s", err, out)
	}
	p, err := g.prices("s3://bucket", "eu-central-1")
	if err != nil || p.Date != "2026-07-28" {
		t.Fatalf("%+v, %v", p, err)
	}
	for name, about := range map[string]string{
		"nowhere.json": "404", "plain.json": "without TLS", "loop.json": "without end", "cut.json": "cut.json: reading a price list",
	} {
		if err := update(name, "deep.json", "transfer.json"); err == nil || !strings.Contains(err.Error(), about) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := g.costUpdate(context.Background(), listClient(), nil, []string{srv.URL + "/s3.json"}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if err := g.costUpdate(ended, client, nil, []string{srv.URL + "/s3.json"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if again, err := g.prices("s3://bucket", "eu-central-1"); err != nil || len(price.Changes(p, again)) > 0 {
		t.Errorf("the old book is not left in place: %v", err)
	}
}

// TestListTooLarge: what does not end is no price list.
func TestListTooLarge(t *testing.T) {
	l := &limited{r: strings.NewReader(strings.Repeat(" ", 100)), left: 50}
	if _, err := price.ParsePriceList(l); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Error(err)
	}
}

// TestUpdateNotWritten: a folder that can't be written is an error, and leaves nothing.
func TestUpdateNotWritten(t *testing.T) {
	g, out := here(t, nil)
	dirs, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dirs, "tarn"), "a file in its place")
	var files []string
	for _, name := range []string{"s3.json", "deep.json", "transfer.json"} {
		files = append(files, filepath.Join(offersFolder, name))
	}
	if err := g.costUpdate(context.Background(), listClient(), nil, files); err == nil || out.Len() > 0 {
		t.Errorf("%v, %q", err, out)
	}
}

// TestClassesCount: the archives that are counted are those that a backup makes.
func TestClassesCount(t *testing.T) {
	p := newPerson(t)
	for i := range 120 {
		write(t, p.path("src", fmt.Sprint(i%5), fmt.Sprint(i%3), fmt.Sprint(i)), strings.Repeat(fmt.Sprint(i, " "), i*i*3+1))
	}
	write(t, p.path("src", "top"), strings.Repeat("above", 100))
	if err := os.Mkdir(p.path("src", "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, flags := range []string{"--archive-size 64KiB", "--archive-size 256KiB --split-depth 2", "--archive-size 16MiB --split-depth 0"} {
		var counted struct{ Archives, Files, Bytes int64 }
		text := p.must(append([]string{"cost", "classes", "src", "--json"}, strings.Fields(flags)...)...)
		if err := json.Unmarshal([]byte(text), &counted); err != nil {
			t.Fatal(err)
		}
		repo := p.path(strings.ReplaceAll(flags, " ", ""))
		p.must("init", "-q", "--no-encryption", "-r", repo)
		p.must(append([]string{"backup", "-q", "-r", repo, "src"}, strings.Fields(flags)...)...)
		made := int64(0)
		err := filepath.WalkDir(filepath.Join(repo, "archives"), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				made++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		// Directories have headers, and the last archive of a split may be of them alone.
		if counted.Files != 121 || counted.Archives < made*9/10 || counted.Archives > made*11/10+1 {
			t.Errorf("%s: %d archives of %d files are counted, %d are made", flags, counted.Archives, counted.Files, made)
		}
		t.Logf("%s: %d counted, %d made", flags, counted.Archives, made)
	}
}

// TestClassesProblems: what can't be read is named, and the exit code says so.
func TestClassesProblems(t *testing.T) {
	p := newPerson(t)
	write(t, p.path("src", "a"), "a")
	write(t, p.path("src", ignoreFile), "") // too large to be heeded, also by root
	if err := os.Truncate(p.path("src", ignoreFile), 64<<20); err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--quiet", "--json"} {
		code, out, errs := p.run("cost", "classes", "src", flag)
		if code != exitProblems || strings.Count(errs, "tarn: ") != 1 || !strings.Contains(errs, ignoreFile) || !strings.Contains(out, "DEEP_ARCHIVE") {
			t.Errorf("exit code %d\n%s%s", code, out, errs)
		}
	}
}

func TestFormatWait(t *testing.T) {
	b := price.Embedded().Providers[price.AWS].Rules
	var got []string
	for _, tier := range price.Tiers {
		got = append(got, formatWait(b["GLACIER"].Waits[tier]))
	}
	if strings.Join(got, ", ") != "5-12 h, 3-5 h, 1-5 min" || formatWait(b["DEEP_ARCHIVE"].Waits[price.Bulk]) != "48 h" {
		t.Errorf("%q", got)
	}
}
