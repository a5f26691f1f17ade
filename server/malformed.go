package server

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/streamflow/streamflow/protocol"
)

// refusedByHTTP returns why no handler gets to see what came, if text is what
// net/http says to that: it refuses what is no HTTP, or has more header fields than
// a connection is charged for, by itself and in plain text.
func refusedByHTTP(text []byte) *protocol.Refusal {
	version, rest, _ := bytes.Cut(text, []byte(" "))
	if !bytes.HasPrefix(version, []byte("HTTP/1.")) {
		return nil
	}
	status, _ := strconv.Atoi(string(rest[:min(3, len(rest))])) // 0 where there is none
	if status < http.StatusBadRequest {
		return nil
	}
	line, _, _ := bytes.Cut(rest, []byte("\r\n"))
	_, why, _ := bytes.Cut(line, []byte(": "))
	refusal := malformed(status, string(why))
	if string(version) == "HTTP/1.0" { // only so, as an answer by TLS can't be read here
		refusal.Detail = "this port speaks TLS: the URL begins with https"
	}
	return refusal
}

// refuse answers in the place of net/http, and logs what would be a line of its own
// if it was a request.
func (c *connection) refuse(refusal *protocol.Refusal) error {
	c.listener.logger.Info("no request", "status", refusal.Status, "detail", refusal.Detail, "remote", c.RemoteAddr().String())
	_, err := c.Conn.Write(protocol.FormatProblem(refusal))
	return err
}

// malformed refuses what comes in place of a request. why is what net/http says of
// it, or empty.
func malformed(status int, why string) *protocol.Refusal {
	refusal := &protocol.Refusal{Status: status, Code: protocol.CodeUnsupported}
	switch status {
	case http.StatusRequestHeaderFieldsTooLarge:
		refusal.Code, refusal.Limit = "HEADERS_TOO_LARGE", maxHeaderBytes
		refusal.Detail = "the header fields have more bytes than this server reads"
	case http.StatusExpectationFailed:
		refusal.Detail = "Expect can only be 100-continue"
	case http.StatusNotImplemented:
		refusal.Detail = "the Transfer-Encoding of a body can only be chunked"
	case http.StatusHTTPVersionNotSupported:
		refusal.Detail = "this server speaks HTTP/1.1 and HTTP/2"
	default:
		refusal.Code, refusal.Detail = protocol.CodeValidation, "this is no HTTP request, or only a part of one"
		if why != "" {
			refusal.Detail = "this is no HTTP request: " + why
		}
	}
	return refusal
}
