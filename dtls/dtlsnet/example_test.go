package dtlsnet_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/dtls/dtlsnet"
)

func Example() {
	// Each side knows the other by the fingerprint of its certificate.
	mine, err := dtls.GenerateCertificate(time.Now())
	if err != nil {
		log.Fatal(err)
	}
	print, err := mine.Fingerprint("sha-256")
	if err != nil {
		log.Fatal(err)
	}
	cfg := dtlsnet.Config{DTLS: dtls.Config{Certificate: mine, RemoteFingerprints: []dtls.Fingerprint{print}}}

	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	l, err := dtlsnet.Listen(pc, cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		b := make([]byte, 1<<14)
		n, err := conn.Read(b)
		if err == nil {
			conn.Write(append([]byte("you said: "), b[:n]...))
		}
	}()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := dtlsnet.Dial(ctx, "udp", l.Addr().String(), cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte("hello"))
	b := make([]byte, 1<<14)
	n, err := conn.Read(b)
	if err != nil {
		log.Fatal(err)
	}
	state := conn.ConnectionState()
	fmt.Println(string(b[:n]))
	fmt.Println(dtls.SuiteName(state.CipherSuite), state.Group)
	// Output:
	// you said: hello
	// TLS_AES_128_GCM_SHA256 X25519MLKEM768
}
