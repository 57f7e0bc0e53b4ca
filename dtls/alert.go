package dtls

import "strconv"

// Alert is an alert description (RFC 5246 §7.2, RFC 8446 §6).
type Alert uint8

// The alerts which are sent or met.
const (
	AlertCloseNotify           Alert = 0
	AlertUnexpectedMessage     Alert = 10
	AlertBadRecordMAC          Alert = 20
	AlertRecordOverflow        Alert = 22
	AlertHandshakeFailure      Alert = 40
	AlertBadCertificate        Alert = 42
	AlertUnsupportedCert       Alert = 43
	AlertCertificateUnknown    Alert = 46
	AlertIllegalParameter      Alert = 47
	AlertUnknownCA             Alert = 48
	AlertDecodeError           Alert = 50
	AlertDecryptError          Alert = 51
	AlertProtocolVersion       Alert = 70
	AlertInsufficientSecurity  Alert = 71
	AlertInternalError         Alert = 80
	AlertInappropriateFallback Alert = 86 // RFC 7507
	AlertUserCanceled          Alert = 90
	AlertTooManyCIDsRequested  Alert = 52 // RFC 9147 §9
	AlertNoRenegotiation       Alert = 100
	AlertMissingExtension      Alert = 109
	AlertUnsupportedExtension  Alert = 110
	AlertCertificateRequired   Alert = 116

	AlertNoApplicationProtocol Alert = 120 // RFC 7301 §3.2
)

const (
	alertWarning = 1
	alertFatal   = 2
)

var alertNames = map[Alert]string{
	AlertCloseNotify:           "close_notify",
	AlertUnexpectedMessage:     "unexpected_message",
	AlertBadRecordMAC:          "bad_record_mac",
	AlertRecordOverflow:        "record_overflow",
	AlertHandshakeFailure:      "handshake_failure",
	AlertBadCertificate:        "bad_certificate",
	AlertUnsupportedCert:       "unsupported_certificate",
	AlertCertificateUnknown:    "certificate_unknown",
	AlertIllegalParameter:      "illegal_parameter",
	AlertUnknownCA:             "unknown_ca",
	AlertDecodeError:           "decode_error",
	AlertDecryptError:          "decrypt_error",
	AlertProtocolVersion:       "protocol_version",
	AlertInsufficientSecurity:  "insufficient_security",
	AlertInternalError:         "internal_error",
	AlertInappropriateFallback: "inappropriate_fallback",
	AlertUserCanceled:          "user_canceled",
	AlertNoRenegotiation:       "no_renegotiation",
	AlertMissingExtension:      "missing_extension",
	AlertUnsupportedExtension:  "unsupported_extension",
	AlertCertificateRequired:   "certificate_required",
	AlertTooManyCIDsRequested:  "too_many_cids_requested",

	AlertNoApplicationProtocol: "no_application_protocol",
}

// String returns the name of RFC 5246, or "alert(n)".
func (a Alert) String() string {
	if s, ok := alertNames[a]; ok {
		return s
	}
	return "alert(" + strconv.Itoa(int(a)) + ")"
}

// AlertError is the reason of a Closed event when an alert ended the
// association. Immutable.
type AlertError struct {
	Alert Alert
	// Sent tells who gave up: true, we did, because of Cause; false, the peer.
	Sent bool
	// Cause is one of the sentinels of this package when Sent, else nil.
	Cause error
}

// Error names the alert and its direction.
func (e *AlertError) Error() string {
	if !e.Sent {
		return "dtls: peer sent alert " + e.Alert.String()
	}
	return e.Cause.Error() + " (" + e.Alert.String() + ")"
}

// Unwrap returns Cause.
func (e *AlertError) Unwrap() error { return e.Cause }

// fatal is how the handshake functions report a failure to Conn.
func fatal(a Alert, cause error) error {
	return &AlertError{Alert: a, Sent: true, Cause: cause}
}

// outAlert is an alert waiting to be sent in the write epoch of that time.
type outAlert struct {
	level uint8
	desc  Alert
}
