package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow/server"
)

// siteFlags say what is around the server: web sites and reverse proxies.
type siteFlags struct {
	corsOrigins []string
	proxies     networks
}

func (f *siteFlags) group() flagGroup {
	g := newFlagGroup("Web")
	g.flags.StringArrayVar(&f.corsOrigins, "cors-origin", nil, "`SITE` whose pages may upload, as https://example.com, or * for all; may be repeated")
	g.flags.Var(&f.proxies, "behind-proxy", "believe what reverse proxies say by X-Forwarded-* or Forwarded; private: all with private addresses")
	g.flags.Lookup("behind-proxy").NoOptDefVal = privateNetworks
	return g
}

func (f *siteFlags) check(cmd *cobra.Command) error {
	for _, origin := range f.corsOrigins {
		if err := server.CheckOrigin(origin); err != nil {
			return usagef(cmd, "--cors-origin: %w", err)
		}
	}
	return nil
}

func (f *siteFlags) apply(opts *server.Options) {
	opts.CORSOrigins, opts.Proxies = f.corsOrigins, f.proxies.prefixes
}

const privateNetworks = "private"

// networks is the value of --behind-proxy: addresses and networks with commas
// between them.
type networks struct {
	text     string
	prefixes []netip.Prefix
}

func (n *networks) Set(text string) error {
	var all []netip.Prefix
	for word := range strings.SplitSeq(text, ",") {
		if word == privateNetworks {
			all = append(all, server.PrivateNetworks()...)
			continue
		}
		network, err := netip.ParsePrefix(word)
		if addr, e := netip.ParseAddr(word); e == nil {
			network, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return fmt.Errorf("%q is neither private, nor an address, nor a network as 10.0.0.0/8", word)
		}
		all = append(all, network.Masked())
	}
	*n = networks{text, all}
	return nil
}

func (n *networks) String() string { return n.text }
func (n *networks) Type() string   { return "network,..." }
