// Command sluice is a WebRTC server: it takes streams by WHIP, gives them out
// by WHEP, and echoes.
//
//	sluice [serve] [flags]   run the server
//	sluice version           print the version
//	sluice help              explain
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments. It returns the exit status.
func run(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	command := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	switch command {
	case "version":
		fmt.Fprintln(stdout, "sluice", version(), runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
		return 0
	case "help":
		usage(stdout)
		return 0
	case "serve":
		return serveCommand(ctx, args, env, stdout, stderr)
	}
	fmt.Fprintf(stderr, "sluice: unknown command %q; the commands are serve, version and help\n", command)
	return 2
}

func serveCommand(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, env)
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage(stdout)
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "sluice: %v\n\"sluice --help\" lists the flags\n", err)
		return 2
	}
	log := o.logger(stderr)
	if err := serve(ctx, o, log, nil); err != nil {
		log.Error("sluice cannot run", "err", err)
		return 1
	}
	return 0
}

// version is the module's, or the commit's where it was built from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v += "-" + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return v
}
