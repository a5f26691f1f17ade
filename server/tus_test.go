package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
)

// TestStatus is the table of what the tus side answers, each case on an upload
// of its own, of which 5 of 10 bytes are there.
func TestStatus(t *testing.T) { overStores(t, tusStatus) }

func tusStatus(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	const octets = tus.ContentType
	type headers []string
	long := strings.Repeat("x", 300<<10)
	for name, c := range map[string]struct {
		method, path string // path "" is the upload's
		headers      headers
		body         io.Reader
		status       int
		code         string
		offset       string // on the answer
		after        string // what HEAD says then; default 5
	}{
		"head":                                  {method: "HEAD", status: 200, offset: "5"},
		"head of an unknown upload":             {method: "HEAD", path: "/files/0123456789abcdef0123456789abcdef", status: 404},
		"head of a path that escapes":           {method: "HEAD", path: "/files/..%2f..%2fetc%2fpasswd", status: 404},
		"head of an id with a NUL":              {method: "HEAD", path: "/files/a%00b", status: 404},
		"get":                                   {method: "GET", status: 405, code: "METHOD_NOT_ALLOWED"},
		"get of the collection":                 {method: "GET", path: "/files/", status: 405, code: "METHOD_NOT_ALLOWED"},
		"options":                               {method: "OPTIONS", path: "/files/", status: 204},
		"options of another version":            {method: "OPTIONS", path: "/files/", headers: headers{"Tus-Resumable", "", "Tus-Resumable", "0.2"}, status: 204},
		"another version":                       {method: "HEAD", headers: headers{"Tus-Resumable", "", "Tus-Resumable", "0.2.2"}, status: 412},
		"no version":                            {method: "PATCH", headers: headers{"Tus-Resumable", "", "Content-Type", octets, "Upload-Offset", "5"}, body: strings.NewReader("56789"), status: 412, code: "UNSUPPORTED_VERSION"},
		"create without a version":              {method: "POST", path: "/files/", headers: headers{"Tus-Resumable", "", "Upload-Length", "3", "Upload-Metadata", "a YQ=="}, status: 412, code: "UNSUPPORTED_VERSION"},
		"create":                                {method: "POST", path: "/files/", headers: headers{"Upload-Length", "3"}, status: 201},
		"create without the slash":              {method: "POST", path: "/files", headers: headers{"Upload-Length", "3"}, status: 201},
		"create empty":                          {method: "POST", path: "/files/", headers: headers{"Upload-Length", "0"}, status: 201},
		"create with a deferred length":         {method: "POST", path: "/files/", headers: headers{"Upload-Defer-Length", "1"}, status: 201},
		"create without a length":               {method: "POST", path: "/files/", status: 400, code: "VALIDATION_ERROR"},
		"create with length and defer":          {method: "POST", path: "/files/", headers: headers{"Upload-Length", "3", "Upload-Defer-Length", "1"}, status: 400, code: "VALIDATION_ERROR"},
		"create with defer 2":                   {method: "POST", path: "/files/", headers: headers{"Upload-Defer-Length", "2"}, status: 400, code: "VALIDATION_ERROR"},
		"create with a negative length":         {method: "POST", path: "/files/", headers: headers{"Upload-Length", "-1"}, status: 400, code: "VALIDATION_ERROR"},
		"create with a huge length":             {method: "POST", path: "/files/", headers: headers{"Upload-Length", "9223372036854775808"}, status: 400, code: "VALIDATION_ERROR"},
		"create with a length in text":          {method: "POST", path: "/files/", headers: headers{"Upload-Length", "ten"}, status: 400, code: "VALIDATION_ERROR"},
		"create with a signed length":           {method: "POST", path: "/files/", headers: headers{"Upload-Length", "+3"}, status: 400, code: "VALIDATION_ERROR"},
		"create with two lengths":               {method: "POST", path: "/files/", headers: headers{"Upload-Length", "3", "Upload-Length", "4"}, status: 400, code: "VALIDATION_ERROR"},
		"create too large":                      {method: "POST", path: "/files/", headers: headers{"Upload-Length", "1001"}, status: 413, code: "INVALID_FILE"},
		"create with a repeated key":            {method: "POST", path: "/files/", headers: headers{"Upload-Length", "3", "Upload-Metadata", "a YQ==,a YQ=="}, status: 400, code: "VALIDATION_ERROR"},
		"create with bad base64":                {method: "POST", path: "/files/", headers: headers{"Upload-Length", "3", "Upload-Metadata", "a *"}, status: 400, code: "VALIDATION_ERROR"},
		"create with a bad key":                 {method: "POST", path: "/files/", headers: headers{"Upload-Length", "3", "Upload-Metadata", "é YQ=="}, status: 400, code: "VALIDATION_ERROR"},
		"patch":                                 {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5"}, body: strings.NewReader("56"), status: 204, offset: "7", after: "7"},
		"patch to the end":                      {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5"}, body: strings.NewReader("56789"), status: 204, offset: "10", after: "10"},
		"patch in chunks":                       {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5"}, body: chunked("56789"), status: 204, offset: "10", after: "10"},
		"patch without a body":                  {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5"}, status: 204, offset: "5"},
		"patch of nothing to a complete one":    {method: "PATCH", path: "{done}", headers: headers{"Content-Type", octets, "Upload-Offset", "3"}, body: chunked(""), status: 204, offset: "3"},
		"patch in chunks to a complete one":     {method: "PATCH", path: "{done}", headers: headers{"Content-Type", octets, "Upload-Offset", "3"}, body: chunked("x"), status: 413, code: "INVALID_FILE", offset: "3"},
		"wrong checksum of nothing at the end":  {method: "PATCH", path: "{done}", headers: headers{"Content-Type", octets, "Upload-Offset", "3"}, body: trailed{strings.NewReader(""), checksum("md5", "x")}, status: 460, code: "CHECKSUM_MISMATCH", offset: "3"},
		"patch by override":                     {method: "POST", headers: headers{"X-HTTP-Method-Override", "PATCH", "Content-Type", octets, "Upload-Offset", "5"}, body: strings.NewReader("56"), status: 204, offset: "7", after: "7"},
		"patch of an unknown upload":            {method: "PATCH", path: "/files/0123456789abcdef0123456789abcdef", headers: headers{"Content-Type", octets, "Upload-Offset", "0"}, body: strings.NewReader("a"), status: 404, code: "NOT_FOUND"},
		"patch at another offset":               {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "4"}, body: strings.NewReader("4"), status: 409, code: "OFFSET_MISMATCH", offset: "5"},
		"patch beyond what is there":            {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "6"}, body: strings.NewReader("4"), status: 409, code: "OFFSET_MISMATCH", offset: "5"},
		"patch at a negative offset":            {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "-1"}, body: strings.NewReader("4"), status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"patch at an offset in text":            {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "x"}, body: strings.NewReader("4"), status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"patch without an offset":               {method: "PATCH", headers: headers{"Content-Type", octets}, body: strings.NewReader("4"), status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"patch of another type":                 {method: "PATCH", headers: headers{"Content-Type", "text/plain", "Upload-Offset", "5"}, body: strings.NewReader("4"), status: 415, code: "UNSUPPORTED_MEDIA_TYPE", offset: "5"},
		"patch without a type":                  {method: "PATCH", headers: headers{"Upload-Offset", "5"}, body: strings.NewReader("4"), status: 415, code: "UNSUPPORTED_MEDIA_TYPE", offset: "5"},
		"patch longer than declared":            {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5"}, body: strings.NewReader("56789x"), status: 413, code: "INVALID_FILE", offset: "5"},
		"patch much longer":                     {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5"}, body: strings.NewReader(long), status: 413, code: "INVALID_FILE", offset: "5"},
		"patch in chunks, too long":             {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5"}, body: chunked("56789x"), status: 413, code: "INVALID_FILE", offset: "5"},
		"patch in chunks, much too long":        {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5"}, body: chunked(long), status: 413, code: "INVALID_FILE", offset: "5"},
		"patch that changes the length":         {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Length", "11"}, body: strings.NewReader("5"), status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"patch that repeats the length":         {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Length", "10"}, body: strings.NewReader("5"), status: 204, offset: "6", after: "6"},
		"terminate":                             {method: "DELETE", status: 204, after: "gone"},
		"terminate an unknown upload":           {method: "DELETE", path: "/files/0123456789abcdef0123456789abcdef", status: 404, code: "NOT_FOUND"},
		"method that doesn't exist":             {method: "BREW", status: 405, code: "METHOD_NOT_ALLOWED"},
		"post to an upload":                     {method: "POST", headers: headers{"Upload-Length", "1"}, status: 405, code: "METHOD_NOT_ALLOWED"},
		"create with upload":                    {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Length", "3"}, body: strings.NewReader("abc"), status: 201, offset: "3"},
		"create with upload of the beginning":   {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Length", "5"}, body: strings.NewReader("abc"), status: 201, offset: "3"},
		"create with upload in chunks":          {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Length", "5"}, body: chunked("abc"), status: 201, offset: "3"},
		"create with upload, deferred length":   {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Defer-Length", "1"}, body: strings.NewReader("abc"), status: 201, offset: "3"},
		"create with upload of no bytes":        {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Length", "5"}, status: 201, offset: "0"},
		"create empty with upload in chunks":    {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Length", "0"}, body: chunked(""), status: 201, offset: "0"},
		"create empty with upload in gzip":      {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Length", "0", "Content-Encoding", "gzip"}, body: gzipped(""), status: 201, offset: "0"},
		"create empty with upload of more":      {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Length", "0"}, body: chunked("a"), status: 413, code: "INVALID_FILE"},
		"create with upload and checksum":       {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Length", "3", "Upload-Checksum", checksum("sha1", "abc")}, body: strings.NewReader("abc"), status: 201, offset: "3"},
		"create with upload and wrong checksum": {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Length", "3", "Upload-Checksum", checksum("sha1", "abd")}, body: strings.NewReader("abc"), status: 460, code: "CHECKSUM_MISMATCH"},
		"create with upload of another type":    {method: "POST", path: "/files/", headers: headers{"Content-Type", "text/plain", "Upload-Length", "3"}, body: strings.NewReader("abc"), status: 415, code: "UNSUPPORTED_MEDIA_TYPE"},
		"create with upload without a type":     {method: "POST", path: "/files/", headers: headers{"Upload-Length", "3"}, body: strings.NewReader("abc"), status: 415, code: "UNSUPPORTED_MEDIA_TYPE"},
		"create with upload beyond the length":  {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Length", "3"}, body: strings.NewReader("abcd"), status: 413, code: "INVALID_FILE"},
		"create with upload in too many chunks": {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Length", "3"}, body: chunked("abcd"), status: 413, code: "INVALID_FILE"},
		"create with upload beyond the largest": {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Defer-Length", "1"}, body: chunked(long), status: 413, code: "INVALID_FILE"},

		"head of an expired upload":   {method: "HEAD", path: "{expired}", status: 410},
		"patch of an expired upload":  {method: "PATCH", path: "{expired}", headers: headers{"Content-Type", octets, "Upload-Offset", "0"}, body: strings.NewReader("x"), status: 410, code: "GONE"},
		"delete of an expired upload": {method: "DELETE", path: "{expired}", status: 410, code: "GONE"},

		"gzip":                               {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "gzip"}, body: gzipped("56"), status: 204, offset: "7", after: "7"},
		"gzip to the end":                    {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "gzip"}, body: gzipped("56789"), status: 204, offset: "10", after: "10"},
		"gzip in chunks":                     {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "gzip"}, body: struct{ io.Reader }{gzipped("56789")}, status: 204, offset: "10", after: "10"},
		"gzip by its other name":             {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "X-Gzip"}, body: gzipped("56"), status: 204, offset: "7", after: "7"},
		"gzip of no bytes":                   {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "gzip"}, body: gzipped(""), status: 204, offset: "5"},
		"gzip without a body":                {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "gzip"}, status: 204, offset: "5"},
		"gzip with the creation":             {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Length", "3", "Content-Encoding", "gzip"}, body: gzipped("abc"), status: 201, offset: "3"},
		"gzip and the checksum of its bytes": {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "gzip", "Upload-Checksum", checksum("sha1", "56")}, body: gzipped("56"), status: 204, offset: "7", after: "7"},
		"gzip and another checksum":          {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "gzip", "Upload-Checksum", checksum("sha1", "57")}, body: gzipped("56"), status: 460, code: "CHECKSUM_MISMATCH", offset: "5"},
		"gzip and a checksum trailer":        {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "gzip"}, body: trailed{gzipped("56"), checksum("md5", "56")}, status: 204, offset: "7", after: "7"},
		"gzip beyond the length":             {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "gzip"}, body: gzipped("56789x"), status: 413, code: "INVALID_FILE", offset: "5"},
		"gzip at another offset":             {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "4", "Content-Encoding", "gzip"}, body: gzipped("4"), status: 409, code: "OFFSET_MISMATCH", offset: "5"},
		"gzip that is none":                  {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "gzip"}, body: strings.NewReader("56789 and more"), status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"gzip with something behind it":      {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "gzip"}, body: io.MultiReader(gzipped("56"), strings.NewReader("something else")), status: 400, code: "VALIDATION_ERROR", offset: "7", after: "7"},
		"gzip without its end":               {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "gzip"}, body: io.LimitReader(gzipped("56"), int64(gzipped("56").Len()-4)), status: 400, code: "INCOMPLETE_BODY", offset: "7", after: "7"},
		"brotli":                             {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "br"}, body: strings.NewReader("56"), status: 415, code: "UNSUPPORTED_MEDIA_TYPE", offset: "5"},
		"gzip twice":                         {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "gzip, gzip"}, body: strings.NewReader("56"), status: 415, code: "UNSUPPORTED_MEDIA_TYPE", offset: "5"},
		"no coding, by name":                 {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Content-Encoding", "identity"}, body: strings.NewReader("56"), status: 204, offset: "7", after: "7"},

		"checksum by sha1":                    {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", checksum("sha1", "56")}, body: strings.NewReader("56"), status: 204, offset: "7", after: "7"},
		"checksum by sha256":                  {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", checksum("sha256", "56")}, body: strings.NewReader("56"), status: 204, offset: "7", after: "7"},
		"checksum by crc32c":                  {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", checksum("crc32c", "56")}, body: strings.NewReader("56"), status: 204, offset: "7", after: "7"},
		"checksum by md5":                     {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", checksum("md5", "56")}, body: strings.NewReader("56"), status: 204, offset: "7", after: "7"},
		"checksum of the last chunk":          {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", checksum("sha1", "56789")}, body: strings.NewReader("56789"), status: 204, offset: "10", after: "10"},
		"checksum of a chunk of unknown size": {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", checksum("sha1", "56789")}, body: chunked("56789"), status: 204, offset: "10", after: "10"},
		"checksum of no bytes":                {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", checksum("sha1", "")}, status: 204, offset: "5"},
		"checksum that differs":               {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", checksum("sha1", "57")}, body: strings.NewReader("56"), status: 460, code: "CHECKSUM_MISMATCH", offset: "5"},
		"checksum that differs at the end":    {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", checksum("crc32c", "5678x")}, body: strings.NewReader("56789"), status: 460, code: "CHECKSUM_MISMATCH", offset: "5"},
		"checksum that differs from no bytes": {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", checksum("sha1", "x")}, status: 460, code: "CHECKSUM_MISMATCH", offset: "5"},
		"checksum by an unknown algorithm":    {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", "sha3 YQ=="}, body: strings.NewReader("56"), status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"checksum by SHA1":                    {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", strings.Replace(checksum("sha1", "56"), "sha1", "SHA1", 1)}, body: strings.NewReader("56"), status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"checksum without a sum":              {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", "sha1"}, body: strings.NewReader("56"), status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"checksum that isn't base64":          {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", "sha1 *"}, body: strings.NewReader("56"), status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"checksum of another size":            {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", strings.Replace(checksum("md5", "56"), "md5", "sha1", 1)}, body: strings.NewReader("56"), status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"checksum twice":                      {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", checksum("sha1", "56"), "Upload-Checksum", checksum("md5", "56")}, body: strings.NewReader("56"), status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"checksum beyond the length":          {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", checksum("sha1", "56789x")}, body: chunked("56789x"), status: 413, code: "INVALID_FILE", offset: "5"},
		"checksum trailer":                    {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5"}, body: trailed{strings.NewReader("56"), checksum("sha256", "56")}, status: 204, offset: "7", after: "7"},
		"checksum trailer of the last chunk":  {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5"}, body: trailed{strings.NewReader("56789"), checksum("sha1", "56789")}, status: 204, offset: "10", after: "10"},
		"checksum trailer that differs":       {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5"}, body: trailed{strings.NewReader("56"), checksum("md5", "57")}, status: 460, code: "CHECKSUM_MISMATCH", offset: "5"},
		"checksum trailer of an unknown kind": {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5"}, body: trailed{strings.NewReader("56"), "sha3 YQ=="}, status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"checksum trailer that is malformed":  {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5"}, body: trailed{strings.NewReader("56"), "sha1 *"}, status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"checksum trailer without a value":    {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5"}, body: trailed{strings.NewReader("56"), ""}, status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"checksum as header and trailer":      {method: "PATCH", headers: headers{"Content-Type", octets, "Upload-Offset", "5", "Upload-Checksum", checksum("sha1", "56")}, body: trailed{strings.NewReader("56"), checksum("sha1", "56")}, status: 400, code: "VALIDATION_ERROR", offset: "5"},
		"checksum trailer with the creation":  {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Length", "3"}, body: trailed{strings.NewReader("abc"), checksum("sha1", "abc")}, status: 201, offset: "3"},

		"partial":                               {method: "POST", path: "/files/", headers: headers{"Upload-Length", "3", "Upload-Concat", "partial"}, status: 201},
		"partial with upload":                   {method: "POST", path: "/files/", headers: headers{"Content-Type", octets, "Upload-Length", "3", "Upload-Concat", "partial"}, body: strings.NewReader("abc"), status: 201, offset: "3"},
		"partial with a deferred length":        {method: "POST", path: "/files/", headers: headers{"Upload-Defer-Length", "1", "Upload-Concat", "partial"}, status: 201},
		"partial without a length":              {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "partial"}, status: 400, code: "VALIDATION_ERROR"},
		"head of a partial":                     {method: "HEAD", path: "{whole}", status: 200, offset: "3"},
		"terminate a partial":                   {method: "DELETE", path: "{whole}", status: 204},
		"final":                                 {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;{whole}"}, status: 201},
		"final of several":                      {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;{whole} {other} {whole}"}, status: 201},
		"final by relative URLs":                {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;{id} ./{id} ../files/{id}"}, status: 201},
		"final by absolute URLs":                {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;{url}{whole} https://proxy.example{whole}"}, status: 201},
		"final with metadata":                   {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;{whole}", "Upload-Metadata", "filename d29ybGQ="}, status: 201},
		"final with a length":                   {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;{whole}", "Upload-Length", "3"}, status: 400, code: "VALIDATION_ERROR"},
		"final with a deferred length":          {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;{whole}", "Upload-Defer-Length", "1"}, status: 400, code: "VALIDATION_ERROR"},
		"final with a body":                     {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;{whole}", "Content-Type", octets}, body: strings.NewReader("abc"), status: 400, code: "VALIDATION_ERROR"},
		"final with a body in chunks":           {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;{whole}", "Content-Type", octets}, body: chunked("abc"), status: 400, code: "VALIDATION_ERROR"},
		"final of nothing":                      {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;"}, status: 400, code: "VALIDATION_ERROR"},
		"final of an unfinished partial":        {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;{whole} {half}"}, status: 400, code: "VALIDATION_ERROR"},
		"final of a partial of unknown length":  {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;{deferred}"}, status: 400, code: "VALIDATION_ERROR"},
		"final of an upload that isn't partial": {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;{whole} {done}"}, status: 400, code: "VALIDATION_ERROR"},
		"final of a final":                      {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;{final}"}, status: 400, code: "VALIDATION_ERROR"},
		"final of an unknown upload":            {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;/files/0123456789abcdef0123456789abcdef"}, status: 400, code: "VALIDATION_ERROR"},
		"final of an expired partial":           {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;{expired}"}, status: 400, code: "VALIDATION_ERROR"},
		"final of another path":                 {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;/etc/{id}"}, status: 400, code: "VALIDATION_ERROR"},
		"final of a path that escapes":          {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;/files/..%2f{id}"}, status: 400, code: "VALIDATION_ERROR"},
		"final of what is no URL":               {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;http://[::1"}, status: 400, code: "VALIDATION_ERROR"},
		"final beyond the largest":              {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "final;" + strings.Repeat("{whole} ", 334)}, status: 413, code: "INVALID_FILE"},
		"concatenation of another kind":         {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "finally", "Upload-Length", "3"}, status: 400, code: "VALIDATION_ERROR"},
		"concatenation twice":                   {method: "POST", path: "/files/", headers: headers{"Upload-Concat", "partial", "Upload-Concat", "final;{whole}"}, status: 400, code: "VALIDATION_ERROR"},
		"head of a final":                       {method: "HEAD", path: "{final}", status: 200, offset: "7"},
		"patch of a final":                      {method: "PATCH", path: "{final}", headers: headers{"Content-Type", octets, "Upload-Offset", "7"}, body: strings.NewReader("x"), status: 403, code: "ACCESS_DENIED", offset: "7"},
		"patch of a final without bytes":        {method: "PATCH", path: "{final}", headers: headers{"Content-Type", octets, "Upload-Offset", "7"}, status: 403, code: "ACCESS_DENIED", offset: "7"},
		"head of a final that isn't done":       {method: "HEAD", path: "{unmade}", status: 200},
		"terminate a final":                     {method: "DELETE", path: "{final}", status: 204},

		"metadata that is no header injection": {method: "POST", path: "/files/", headers: headers{"Upload-Length", "0", "Upload-Metadata", "filename DQpFdmlsOiAx"}, status: 201},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &server.Options{MaxFileBytes: 1000, ExpireAfter: time.Hour})
			upload := r.create("Upload-Length", "10")
			r.patch(upload, "0", strings.NewReader("01234"))
			path := upload
			if c.path != "" {
				path = r.named(c.path)
			}
			for i, header := range c.headers {
				c.headers[i] = r.named(header)
			}
			before := r.unfinished()
			resp, text := r.do(c.method, path, c.body, c.headers...)
			r.wantProblem(resp, text, c.status, c.code)
			if got := resp.Header.Get("Tus-Resumable"); got != "1.0.0" {
				r.Errorf("Tus-Resumable is %q", got)
			}
			if got := resp.Header.Get("Upload-Offset"); got != c.offset {
				r.Errorf("Upload-Offset is %q, want %q", got, c.offset)
			}
			if after := r.unfinished(); c.status >= 400 && after != before {
				r.Errorf("%d uploads are unfinished, before it were %d", after, before)
			}
			if c.status == 412 && resp.Header.Get("Tus-Version") != "1.0.0" {
				r.Error("412 without Tus-Version")
			}
			if c.method == "HEAD" && resp.Header.Get("Cache-Control") != "no-store" {
				r.Error("HEAD may be cached")
			}
			switch c.after {
			case "":
				c.after = "5"
			case "gone":
				if resp, _ := r.do("HEAD", upload, nil); resp.StatusCode != 404 {
					r.Errorf("then HEAD is %s", resp.Status)
				}
				return
			}
			if got := r.offset(upload); got != c.after {
				r.Errorf("then the offset is %s, want %s", got, c.after)
			}
			if c.after == "10" && string(r.content(upload)) != "0123456789" {
				r.Errorf("stored %q", r.content(upload))
			}
		})
	}
}

func TestOptionsSayWhatThereIs(t *testing.T) {
	r := newRig(t, &server.Options{MaxFileBytes: 1000, ExpireAfter: time.Hour})
	resp, _ := r.do("OPTIONS", "/files/", nil)
	for name, want := range map[string]string{
		"Tus-Version": "1.0.0", "Tus-Max-Size": "1000", "Tus-Checksum-Algorithm": "sha1,sha256,crc32c,md5",
		"Tus-Extension": "creation,creation-with-upload,creation-defer-length,termination,checksum,checksum-trailer,concatenation,expiration",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	r = newRigOver(t, plain{r.files}, r.mem, nil)
	resp, _ = r.do("OPTIONS", "/files/", nil)
	if got := resp.Header.Get("Tus-Extension"); got != "creation,creation-with-upload,creation-defer-length,termination" || resp.Header.Get("Tus-Checksum-Algorithm") != "" {
		t.Errorf("of a store that can do no more, OPTIONS says %v", resp.Header)
	}
}

func TestHeadGivesMetadataBackAsSent(t *testing.T) {
	r := newRig(t, nil)
	for _, metadata := range []string{"filename d29ybGQ=,filetype dGV4dA==", "z eg==, a YQ==", "flag,other ", "filename Li4vLi4vZXRjL3Bhc3N3ZA=="} {
		upload := r.create("Upload-Length", "1", "Upload-Metadata", metadata)
		resp, _ := r.do("HEAD", upload, nil)
		// A header's value ends before its trailing space.
		if got := resp.Header.Get("Upload-Metadata"); got != strings.TrimRight(metadata, " ") {
			t.Errorf("Upload-Metadata is %q, want %q", got, metadata)
		}
	}
}

func TestDeferredLength(t *testing.T) { overStores(t, deferredLength) }

func deferredLength(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	r := newRig(t, &server.Options{MaxFileBytes: 1000})
	upload := r.create("Upload-Defer-Length", "1")
	resp, _ := r.do("HEAD", upload, nil)
	if resp.Header.Get("Upload-Defer-Length") != "1" || len(resp.Header.Values("Upload-Length")) != 0 {
		t.Errorf("HEAD says %v", resp.Header)
	}
	r.patch(upload, "0", strings.NewReader("0123456789"))
	for _, c := range []struct {
		length string
		status int
	}{{"9", 400}, {"-1", 400}, {"1001", 413}, {"12", 204}, {"12", 204}, {"13", 400}} {
		resp, text := r.patch(upload, "10", nil, "Upload-Length", c.length)
		if resp.StatusCode != c.status {
			t.Errorf("length %s: %s %s", c.length, resp.Status, text)
		}
	}
	r.patch(upload, "10", strings.NewReader("ab"))
	if got := r.content(upload); string(got) != "0123456789ab" {
		t.Errorf("stored %q", got)
	}
}

func TestDeferredLengthIsBounded(t *testing.T) {
	r := newRig(t, &server.Options{MaxFileBytes: 1000})
	for name, body := range map[string]io.Reader{"sized": strings.NewReader(string(sequence(1001))), "chunked": chunked(string(sequence(1001)))} {
		upload := r.create("Upload-Defer-Length", "1")
		resp, text := r.patch(upload, "0", body)
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %s %s", name, resp.Status, text)
		}
	}
}

func TestLengthZeroCompletesAtOnce(t *testing.T) { overStores(t, lengthZeroCompletesAtOnce) }

func lengthZeroCompletesAtOnce(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	r := newRig(t, nil)
	if got := r.content(r.create("Upload-Length", "0")); len(got) != 0 {
		t.Errorf("stored %q", got)
	}
}

func TestReprDigest(t *testing.T) { overStores(t, reprDigest) }

func reprDigest(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	r := newRig(t, nil)
	upload := r.create("Upload-Length", "9")
	resp, _ := r.patch(upload, "0", strings.NewReader("1234"), "Want-Repr-Digest", "crc32c=1")
	if got := resp.Header.Get("Repr-Digest"); got != "" {
		t.Errorf("digest of an incomplete upload is %s", got)
	}
	const want = "crc32c=:4waSgw==:"
	resp, _ = r.patch(upload, "4", strings.NewReader("56789"), "Want-Repr-Digest", "sha-256=10, crc32c=1")
	if got := resp.Header.Get("Repr-Digest"); got != want {
		t.Errorf("PATCH says %s, want %s", got, want)
	}
	for wish, want := range map[string]string{"crc32c=1": want, "crc32c=0": "", "sha-256=1": "", "crc32c": "", "": ""} {
		resp, _ = r.do("HEAD", upload, nil, "Want-Repr-Digest", wish)
		if got := resp.Header.Get("Repr-Digest"); got != want {
			t.Errorf("HEAD with %q says %q, want %q", wish, got, want)
		}
	}
}
