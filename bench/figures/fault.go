package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	faultUploads  = 4 // at once
	faultPatience = 4 * time.Minute
)

// A voyage is one upload through a weather.
type voyage struct {
	Destination string  `json:"destination"`
	Weather     string  `json:"weather"`
	Source      string  `json:"source"` // "file" or "pipe"
	Seconds     float64 `json:"seconds"`
	Outcome     string  `json:"outcome"`
	Said        string  `json:"said,omitempty"`
}

// What may become of an upload.
const (
	arrived = "right" // exit code 0, the bytes are those of the source
	failed  = "error" // another exit code, a message, and no object with other bytes
	wrong   = "wrong" // anything else
	hung    = "hung"  // not done in time
)

// A port is where uploads go to: our server by tus, or S3.
type port struct {
	name    string
	address string // host:port
	dir     string // where what arrives is kept
	command func(ctx context.Context, proxy string, args ...string) *exec.Cmd
}

// A plan says which way a voyage goes.
type plan struct {
	to      port
	through weather
	shape   string // of the source
}

// measureFault uploads through bad connections, and compares what is stored.
func measureFault(ctx context.Context, b *bench) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	ports, stop, err := b.ports(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var plans []plan
	for range b.count(5, 1) {
		for _, to := range ports {
			for _, w := range weathers() {
				for _, shape := range []string{"file", "pipe"} {
					plans = append(plans, plan{to, w, shape})
				}
			}
		}
	}
	var mu sync.Mutex
	ended := map[string][]voyage{}
	err = inParallel(len(plans), faultUploads, func(i int) error {
		p := plans[i]
		v, err := b.sail(ctx, p, i)
		if err != nil {
			return fmt.Errorf("%s to %s, %s: %w", p.shape, p.to.name, p.through.name, err)
		}
		mu.Lock()
		defer mu.Unlock()
		ended[v.Destination+v.Weather] = append(ended[v.Destination+v.Weather], v)
		b.report.raw(v)
		return nil
	})
	if err != nil {
		return err
	}
	b.reportFault(ports, ended)
	return nil
}

func (b *bench) reportFault(ports []port, ended map[string][]voyage) {
	b.report.columns("connections", "to", "uploads", "right", "ended with an error", "wrong", "hung", "median seconds")
	total := map[string]int{}
	for _, to := range ports {
		for _, w := range weathers() {
			count := map[string]int{}
			runs := ended[to.name+w.name]
			for _, v := range runs {
				count[v.Outcome]++
				total[v.Outcome]++
			}
			b.report.row(w.name, to.name, len(runs), count[arrived], count[failed], count[wrong], count[hung],
				medianOf(runs, func(v voyage) float64 { return v.Seconds }))
		}
	}
	b.report.atMost("uploads that say they are done and differ, or fail without a word", float64(total[wrong]), 0)
	b.report.atMost("uploads that hang", float64(total[hung]), 0)
	b.report.atLeast("uploads that arrive", float64(total[arrived]), 1)
}

// ports starts the servers.
func (b *bench) ports(ctx context.Context) ([]port, func(), error) {
	store, err := b.emptyDir("store")
	if err != nil {
		return nil, nil, err
	}
	tus, err := b.serve(ctx, store, nil)
	if err != nil {
		return nil, nil, err
	}
	gateway, err := b.startGateway(ctx, false)
	if err != nil {
		tus.kill()
		return nil, nil, err
	}
	at, errTus := url.Parse(tus.url)
	s3, errS3 := url.Parse(gateway.endpoint)
	stop := func() { tus.kill(); gateway.kill() }
	if errTus != nil || errS3 != nil {
		stop()
		return nil, nil, fmt.Errorf("read the addresses: %w, %w", errTus, errS3)
	}
	return []port{
		{"our server, tus", at.Host, store, func(ctx context.Context, proxy string, args ...string) *exec.Cmd {
			return b.uploadCommand(ctx, append(args, "http://"+proxy+at.Path)...)
		}},
		{"versitygw, S3", s3.Host, gateway.dir, func(ctx context.Context, proxy string, args ...string) *exec.Cmd {
			through := *gateway
			through.endpoint = "http://" + proxy
			return through.with(b.uploadCommand(ctx, append(args, "s3://"+bucketName+"/")...))
		}},
	}, stop, nil
}

// sail does one upload. Each has a size of its own, by which it is found.
func (b *bench) sail(ctx context.Context, p plan, i int) (voyage, error) {
	v := voyage{Destination: p.to.name, Weather: p.through.name, Source: p.shape}
	name := fmt.Sprintf("voyage%d", i)
	source, err := b.source(name, b.size(24*mib, 12*mib)+int64(i))
	if err != nil {
		return v, err
	}
	defer func() { _ = os.Remove(source) }()
	proxy, err := newStormyProxy(ctx, p.through, p.to.address)
	if err != nil {
		return v, err
	}
	defer proxy.close()
	limited, cancel := context.WithTimeout(ctx, faultPatience)
	defer cancel()
	args := []string{"--state-dir", filepath.Join(b.work, name+".state"), "--name", name}
	cmd := p.to.command(limited, proxy.Listen, append(args, source)...)
	if p.shape == "pipe" {
		stdin, err := pipe(source)
		if err != nil {
			return v, err
		}
		defer stdin.Close()
		cmd = p.to.command(limited, proxy.Listen, append(args, "-")...)
		cmd.Stdin = stdin
	}
	client, err := start(cmd)
	if err != nil {
		return v, err
	}
	used, err := client.wait()
	v.Seconds = used.Wall.Seconds()
	if ctx.Err() != nil {
		return v, ctx.Err()
	}
	v.Outcome, v.Said = judge(limited.Err() != nil, err, client, source, p.to.dir)
	return v, nil
}

// judge compares what the client says with what is stored.
func judge(late bool, failure error, p *process, source, dir string) (outcome, said string) {
	stored := verify(source, dir)
	switch said := strings.TrimSpace(p.stderr.String()); {
	case late:
		return hung, lastLines(said)
	case failure == nil && stored == nil:
		return arrived, ""
	case failure == nil:
		return wrong, stored.Error()
	case said == "" || !p.cmd.ProcessState.Exited():
		return wrong, failure.Error()
	case errors.Is(stored, errDiffer):
		return wrong, stored.Error()
	default:
		return failed, lastLines(said)
	}
}
