package whip_test

import (
	"log"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/sfu"
	"github.com/sluicertc/sluice/sfu/whip"
)

func Example() {
	engine, err := dataplane.New(dataplane.Config{Addr: netip.MustParseAddrPort("0.0.0.0:7882")})
	if err != nil {
		log.Fatal(err)
	}
	handler, err := whip.New(whip.Config{
		Server: sfu.New(sfu.Config{Engine: engine}), // publishers, viewers, echo
		Prefix: "/live",                             // POST /live/whip/{stream}, /live/whep/{stream}
		Access: whip.Access{Token: os.Getenv("TOKEN")},
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/live/", http.StripPrefix("/live", handler))
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", nil))
}

// The README shows the body of Example, so that what it shows compiles.
func TestREADMEShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(source), "func Example() {\n")
	body, _, _ = strings.Cut(body, "\n}\n")
	body = strings.ReplaceAll(strings.TrimPrefix(body, "\t"), "\n\t", "\n")
	if !strings.Contains(string(readme), body) {
		t.Errorf("README.md does not contain:\n%s", body)
	}
}
