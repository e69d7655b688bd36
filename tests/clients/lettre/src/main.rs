//! Sends a mail with HTML and two files with lettre, over STARTTLS. usage: lettre-client HOST PORT CSV PNG

use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message, SmtpTransport, Transport};
use std::error::Error;
use std::path::Path;

fn attach(path: &str, kind: &str) -> Result<lettre::message::SinglePart, Box<dyn Error>> {
    let name = Path::new(path).file_name().ok_or("no file")?.to_str().ok_or("no UTF-8")?;
    Ok(Attachment::new(name.to_string()).body(std::fs::read(path)?, ContentType::parse(kind)?))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let host = &arguments[1];
    let message = Message::builder()
        .from("Zoë Müller <zoe@example.com>".parse()?)
        .to("Bob <bob@example.com>".parse()?)
        .to("carol@example.com".parse()?)
        .subject("Grüße aus Köln")
        .multipart(
            MultiPart::mixed()
                .multipart(MultiPart::alternative_plain_html(
                    "Schöne Grüße,\nZoë\n".to_string(),
                    "<p>Schöne Grüße,<br>Zoë</p>\n".to_string(),
                ))
                .singlepart(attach(&arguments[3], "text/csv")?)
                .singlepart(attach(&arguments[4], "image/png")?),
        )?;
    let tls = TlsParameters::builder(host.clone()).dangerous_accept_invalid_certs(true).build()?;
    SmtpTransport::builder_dangerous(host)
        .port(arguments[2].parse()?)
        .hello_name(ClientId::Domain("client.example.com".to_string()))
        .tls(Tls::Required(tls))
        .authentication(vec![Mechanism::Login])
        .credentials(Credentials::new("jürgen".to_string(), "gehëim".to_string()))
        .build()
        .send(&message)?;
    Ok(())
}
