// Sends the message in FILE with Go's net/smtp, over STARTTLS. usage: go run netsmtp.go HOST PORT FILE
package main

import (
	"crypto/tls"
	"fmt"
	"log"
	"net/smtp"
	"os"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	message, err := os.ReadFile(os.Args[3])
	check(err)
	client, err := smtp.Dial(os.Args[1] + ":" + os.Args[2])
	check(err)
	check(client.Hello("client.example.com"))
	check(client.StartTLS(&tls.Config{ServerName: os.Args[1], InsecureSkipVerify: true}))
	check(client.Auth(smtp.PlainAuth("", "jürgen", "gehëim", os.Args[1])))
	check(client.Mail("zoe@example.com"))
	for _, recipient := range []string{"bob@example.com", "carol@example.com"} {
		check(client.Rcpt(recipient))
	}
	body, err := client.Data()
	check(err)
	_, err = body.Write(message)
	check(err)
	check(body.Close())
	check(client.Quit())
	fmt.Println("sent")
}
