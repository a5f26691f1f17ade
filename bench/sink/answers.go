package main

import "encoding/xml"

// The answers of S3, as far as clients read them.
type (
	location struct {
		XMLName xml.Name `xml:"LocationConstraint"`
	}
	created struct {
		XMLName     xml.Name `xml:"InitiateMultipartUploadResult"`
		Bucket, Key string
		UploadID    string `xml:"UploadId"`
	}
	copied struct {
		XMLName            xml.Name `xml:"CopyPartResult"`
		ETag, LastModified string
	}
	completed struct {
		XMLName           xml.Name `xml:"CompleteMultipartUploadResult"`
		Bucket, Key, ETag string
	}
	part struct {
		PartNumber     int
		ETag           string
		Size           int64
		LastModified   string
		ChecksumCRC32C string `xml:",omitempty"`
	}
	parts struct {
		XMLName              xml.Name `xml:"ListPartsResult"`
		Bucket, Key          string
		IsTruncated          bool
		NextPartNumberMarker int
		Parts                []part `xml:"Part"`
	}
	content struct {
		Key, ETag    string
		Size         int64
		LastModified string
	}
	contents struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Name, Prefix          string
		MaxKeys, KeyCount     int
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []content
	}
	one struct {
		Key       string
		UploadID  string `xml:"UploadId"`
		Initiated string
	}
	uploads struct {
		XMLName xml.Name `xml:"ListMultipartUploadsResult"`
		Bucket  string
		Uploads []one `xml:"Upload"`
	}
)
