# Sends the message in FILE with Perl's Net::SMTP, over STARTTLS. usage: perl net_smtp_message.pl HOST PORT FILE
use strict;
use warnings;
use Net::SMTP;

my ($host, $port, $file) = @ARGV;
my $smtp = Net::SMTP->new($host, Port => $port, Hello => 'client.example.com') or die "no connection: $@";
$smtp->starttls(SSL_verify_mode => 0) or die 'STARTTLS: ' . $smtp->message;
$smtp->auth("j\xc3\xbcrgen", "geh\xc3\xabim") or die 'AUTH: ' . $smtp->message;
$smtp->mail('zoe@example.com') or die 'MAIL: ' . $smtp->message;
$smtp->to('bob@example.com', 'carol@example.com') or die 'RCPT: ' . $smtp->message;
open my $message, '<:raw', $file or die "$file: $!";
$smtp->data(do { local $/; <$message> }) or die 'DATA: ' . $smtp->message;
$smtp->quit;
