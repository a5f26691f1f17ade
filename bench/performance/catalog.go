package main

// A figure is one section of the page.
type figure struct {
	name  string // of its result and its make target
	title string
	about string // what is done, in a sentence or two
	plots []plot
}

// A chapter groups figures.
type chapter struct {
	title   string
	figures []figure
}

// A plot is drawn from the single measurements of a result or, where there are
// none, from its rows.
type plot struct {
	name   string // of the file
	title  string
	group  string            // the field or column that names the bars
	where  map[string]string // other fields that must be so
	panels []panel
	series []series // instead of panels: lines over time
}

// A panel is one quantity of every bar.
type panel struct {
	title string
	field string
	unit  string
	more  bool    // is better
	most  bool    // of the runs instead of the median: for peaks
	clip  float64 // where longer bars are cut, if not 0
}

// A series is a list of numbers in one of the measurements.
type series struct {
	title string
	field string
	where map[string]string
}

func speedAndPeak() []panel {
	return []panel{
		{title: "throughput", field: "mib_per_second", unit: "MiB/s", more: true},
		{title: "peak memory", field: "peak_mib", unit: "MiB", most: true},
	}
}

func timeAndPeak() []panel {
	return []panel{
		{title: "time", field: "seconds", unit: "s"},
		{title: "peak memory", field: "peak_mib", unit: "MiB", most: true},
	}
}

func toService(name, title, shape, service string) plot {
	return plot{
		name: name, title: title, group: "uploader",
		where: map[string]string{"source": shape, "service": service}, panels: speedAndPeak(),
	}
}

func small(name, title, service string) plot {
	return plot{
		name: name, title: title, group: "uploader",
		where: map[string]string{"service": service}, panels: timeAndPeak(),
	}
}

const growthField = "rss_bytes_each_second"

func catalog() []chapter {
	return []chapter{
		{"To S3", []figure{
			{
				"s3-file", "2 GiB from a file",
				"One object, to versitygw over TLS, and to a sink that throws bytes away, so that the client is what is measured. " +
					"\"Lean\" is what a peer's own documentation says takes little memory; for ours it is `--max-memory 32MiB`.",
				[]plot{
					toService("s3-file-tls", "2 GiB file to versitygw over TLS", "file", "versitygw, TLS"),
					toService("s3-file-sink", "2 GiB file to a sink over HTTP", "file", "sink, HTTP"),
				},
			},
			{
				"s3-pipe", "2 GiB from a pipe", "The same, of a length nobody knows before the end.",
				[]plot{
					toService("s3-pipe-tls", "2 GiB pipe to versitygw over TLS", "pipe", "versitygw, TLS"),
					toService("s3-pipe-sink", "2 GiB pipe to a sink over HTTP", "pipe", "sink, HTTP"),
				},
			},
			{
				"s3-compose", "60 GiB from a pipe, in parts of 5 MiB",
				"A stream that outgrows 10,000 parts, to the sink. What no longer fits is joined from pieces by UploadPartCopy, and the memory stays as it is.",
				[]plot{{
					name: "s3-compose", title: "Resident memory, 60 GiB through a pipe",
					series: []series{{title: "streamflow --max-memory 32MiB", field: growthField}},
				}},
			},
			{"s3-cgroup", "In a memory cgroup of 64 MiB", "A file and a pipe, with the page cache of what is read counted, in turn with runs that have no limit.", nil},
			{
				"s3-small", "10,000 files of 10 KiB", "A directory tree, to versitygw over TLS, and to a sink that takes 20 ms for every answer, as one does that is far away.",
				[]plot{
					small("s3-small-tls", "10,000 files of 10 KiB to versitygw over TLS", "versitygw, TLS"),
					small("s3-small-far", "10,000 files of 10 KiB to a sink 20 ms away", "sink, 20 ms away"),
				},
			},
			{
				"s3-million", "1,000,000 empty and tiny files", "The tree is walked and never listed whole; what matters is that memory doesn't grow with it.",
				[]plot{{
					name: "s3-million", title: "Resident memory, a million files",
					series: []series{
						{title: "to a sink", field: growthField, where: map[string]string{"work": "to a sink"}},
						{title: "dry run", field: growthField, where: map[string]string{"work": "dry run"}},
					},
				}},
			},
			{
				"s3-many", "Four files of 220 MiB at once under 64 MiB", "Beside rclone, with and without its own cap on buffers. A run that isn't done after 90 s is ended and counted.",
				[]plot{{
					name: "s3-many", title: "Four files of 220 MiB at once to versitygw over TLS", group: "uploader",
					panels: timeAndPeak(),
				}},
			},
			{"s3-kill", "kill -9 of client or S3 server", "At random moments of one upload after the other. What is given up at last leaves nothing behind after `abort`.", nil},
			{
				"s3-serve", "Servers that keep uploads in S3", "One upload and fifty at once by the same client, to our server and to tusd, both over versitygw.",
				[]plot{{
					name: "s3-serve", title: "50 uploads of 100 MiB at once to a server over S3", group: "server", where: map[string]string{"uploads": "50"},
					panels: speedAndPeak(),
				}},
			},
			{"nodes", "Nodes that share a bucket, killed and paused", "Three nodes over one bucket; each request of an upload meets another. Nodes are killed or stopped in the middle of what they do, and the S3 server is killed.", nil},
			{"fault", "Connections that are slow, cut, stalled or corrupt", "Uploads through Toxiproxy, to our server by tus and to versitygw. Every one ends with the right bytes or with an error.", nil},
		}},
		{"Client and server, over tus", []figure{
			{
				"throughput", "2 GiB with both clients to both servers", "Our client and tus-js-client, our server and tusd. Our server syncs a finished upload to disk before it answers, tusd doesn't.",
				[]plot{{
					name: "throughput", title: "2 GiB, client → server", group: "pairing",
					panels: []panel{
						{title: "throughput", field: "mib_per_second", unit: "MiB/s", more: true},
						{title: "client's peak", field: "client_peak_mib", unit: "MiB", most: true},
						{title: "server's peak", field: "server_peak_mib", unit: "MiB", most: true},
					},
				}},
			},
			{
				"rss", "4 GiB under three budgets", "A file and a pipe, with the same `--max-memory` on both sides.",
				[]plot{{
					name: "rss", title: "Peak memory by budget, 4 GiB", group: "budget", where: map[string]string{"shape": "pipe"},
					panels: []panel{
						{title: "client, from a pipe", field: "client_peak_mib", unit: "MiB", most: true},
						{title: "server", field: "server_peak_mib", unit: "MiB", most: true},
					},
				}},
			},
			{"cgroup", "Client and server in one memory cgroup of 64 MiB", "With `--max-memory auto`, the page cache of what they read and write included.", nil},
			{"many", "Four files at once under 64 MiB", "With chunks from 64 KiB to 16 MiB, and a pipe whose chunk can't fit.", nil},
			{"kill", "kill -9 of either side", "During one upload; a proxy sees what is sent a second time.", nil},
		}},
		{"The server", []figure{
			{
				"pair", "2 GiB as one upload and as eight at once", "Beside tusd, and tusd with our promise: what it answers as finished is on the disk.",
				[]plot{{
					name: "pair", title: "2 GiB, eight uploads at once", group: "server", where: map[string]string{"uploads": "8"},
					panels: speedAndPeak(),
				}},
			},
			{
				"small", "100,000 uploads of 1 KiB", "By creation with upload, on 16 kept connections.",
				[]plot{{
					name: "small", title: "100,000 uploads of 1 KiB", group: "server",
					panels: []panel{
						{title: "uploads a second", field: "uploads_per_second", unit: "/s", more: true},
						{title: "peak memory", field: "peak_mib", unit: "MiB", most: true},
					},
				}},
			},
			{"slow", "Thousands of slow uploads at once", "Each sends 700 bytes every two seconds, beside a handler of net/http that throws the bytes away.", nil},
			{"full", "Uploads until the budget is full", "Under 64 MiB; then 200 more that ask again, and all of them to their end.", nil},
			{"crash", "kill -9 while 50 uploads are under way", "No acknowledged offset may be less afterwards.", nil},
			{"disk", "A disk that runs full", "While 50 uploads are under way, and has room again.", nil},
			{"storm", "Garbage at a high rate", "What an operator looks at is that nothing grows from the first round on.", nil},
			{"fuzz", "What reads requests, fuzzed", "The head of a request, and what is in three of its fields. A finding ends the run.", nil},
		}},
		{"The browser", []figure{
			{
				"browser-bundle", "What a page loads", "Beside tus-js-client, and Uppy's core with its tus; minified, by gzip at its best. " +
					"What few uploads need comes later, and isn't in it.",
				[]plot{{
					name: "browser-bundle", title: "What a page loads", group: "client",
					panels: []panel{{title: "gzip", field: "bytes", unit: "bytes"}},
				}},
			},
			{
				"browser-file", "2 GiB from a page", "One file to our server, in Chromium, with nothing between. The heap is what survives a forced collection, sampled through the run.",
				[]plot{{
					name: "browser-file", title: "2 GiB from a page", group: "client",
					panels: []panel{
						{title: "throughput", field: "mib_per_second", unit: "MiB/s", more: true},
						{title: "JS heap over idle", field: "heap_mib", unit: "MiB", most: true},
					},
				}},
			},
			{
				"browser-many", "1,000 files of 100 KiB from a page", "All begun at once, three and six under way. A task of the main thread is what keeps the page from answering.",
				[]plot{{
					name: "browser-many", title: "1,000 files of 100 KiB from a page", group: "client",
					panels: []panel{
						{title: "time", field: "seconds", unit: "s"},
						{title: "longest task", field: "longest_task_ms", unit: "ms", most: true},
					},
				}},
			},
			{"browser-ledger", "The ledger and what array buffers take", "Read by the browser's own count of backing stores, after a forced collection, while all chunks are held on their way.", nil},
			{"browser-track", "Track and release", "In the page: what somebody else tracks, with its WeakRef and registry, and what the engine takes for a chunk.", nil},
		}},
		{"The memory manager", []figure{
			{
				"memory", "Take and give back one 64 KiB buffer", "Only ours does all of pooling, limits at every level, and tracking: [bench/README.md](../bench/README.md) says who does what.",
				[]plot{{
					name: "memory", title: "CPU of one cycle", group: "contender",
					panels: []panel{
						{title: "alone", field: "alone CPU ns", unit: "ns", clip: 320},
						{title: "eight goroutines", field: "8 goroutines CPU ns", unit: "ns", clip: 320},
					},
				}},
			},
			{"profile", "Its share of an upload's CPU", "Of a 4 GiB upload, with all it calls.", nil},
		}},
	}
}
