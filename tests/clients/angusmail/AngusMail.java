// Sends a mail with HTML and two files with Angus Mail, which JavaMail is called now, over STARTTLS.
// usage: java -cp 'DEPENDENCIES/*' AngusMail.java HOST PORT CSV PNG

import jakarta.mail.Authenticator;
import jakarta.mail.Message;
import jakarta.mail.PasswordAuthentication;
import jakarta.mail.Session;
import jakarta.mail.Transport;
import jakarta.mail.internet.InternetAddress;
import jakarta.mail.internet.MimeBodyPart;
import jakarta.mail.internet.MimeMessage;
import jakarta.mail.internet.MimeMultipart;
import java.util.Properties;

public class AngusMail {
    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.put("mail.smtp.host", arguments[0]);
        properties.put("mail.smtp.port", arguments[1]);
        properties.put("mail.smtp.localhost", "client.example.com");
        properties.put("mail.smtp.auth", "true");
        properties.put("mail.smtp.starttls.required", "true");
        properties.put("mail.smtp.ssl.trust", "*");
        properties.put("mail.smtp.ssl.checkserveridentity", "false");
        Session session = Session.getInstance(properties, new Authenticator() {
            @Override
            protected PasswordAuthentication getPasswordAuthentication() {
                return new PasswordAuthentication("jürgen", "gehëim");
            }
        });
        MimeMessage message = new MimeMessage(session);
        message.setFrom(new InternetAddress("zoe@example.com", "Zoë Müller", "UTF-8"));
        message.setRecipients(Message.RecipientType.TO, InternetAddress.parse("Bob <bob@example.com>, carol@example.com"));
        message.setSubject("Grüße aus Köln", "UTF-8");
        MimeBodyPart text = new MimeBodyPart();
        text.setText("Schöne Grüße,\nZoë\n", "UTF-8");
        MimeBodyPart html = new MimeBodyPart();
        html.setText("<p>Schöne Grüße,<br>Zoë</p>\n", "UTF-8", "html");
        MimeBodyPart both = new MimeBodyPart();
        both.setContent(new MimeMultipart("alternative", text, html));
        MimeMultipart mixed = new MimeMultipart(both);
        String[] types = {"text/csv", "image/png"};
        for (int number = 0; number < types.length; number++) {
            MimeBodyPart file = new MimeBodyPart();
            file.attachFile(arguments[2 + number], types[number], "base64");
            mixed.addBodyPart(file);
        }
        message.setContent(mixed);
        Transport.send(message);
    }
}
