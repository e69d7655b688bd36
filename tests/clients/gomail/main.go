// Sends a mail with HTML and two files with go-mail, over STARTTLS. usage: gomail HOST PORT FILE...
package main

import (
	"crypto/tls"
	"log"
	"os"
	"strconv"

	"github.com/wneessen/go-mail"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	host := os.Args[1]
	port, err := strconv.Atoi(os.Args[2])
	check(err)
	message := mail.NewMsg()
	check(message.FromFormat("Zoë Müller", "zoe@example.com"))
	check(message.To("Bob <bob@example.com>", "carol@example.com"))
	message.Subject("Grüße aus Köln")
	message.SetBodyString(mail.TypeTextPlain, "Schöne Grüße,\nZoë\n")
	message.AddAlternativeString(mail.TypeTextHTML, "<p>Schöne Grüße,<br>Zoë</p>\n")
	for _, file := range os.Args[3:] {
		message.AttachFile(file)
	}
	client, err := mail.NewClient(host,
		mail.WithPort(port),
		mail.WithHELO("client.example.com"),
		mail.WithTLSPolicy(mail.TLSMandatory),
		mail.WithTLSConfig(&tls.Config{ServerName: host, InsecureSkipVerify: true}),
		mail.WithSMTPAuth(mail.SMTPAuthLogin),
		mail.WithUsername("jürgen"),
		mail.WithPassword("gehëim"))
	check(err)
	check(client.DialAndSend(message))
}
