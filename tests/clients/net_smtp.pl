# Sends one mail with Perl's Net::SMTP, without choosing a mechanism. usage: perl net_smtp.pl HOST PORT USER PASSWORD
use strict;
use warnings;
use Net::SMTP;

my ($host, $port, $user, $password) = @ARGV;
my $smtp = Net::SMTP->new($host, Port => $port, Hello => 'client.example.com') or die "no connection: $@";
$smtp->auth($user, $password) or die 'AUTH: ' . $smtp->message;
$smtp->mail('zoe@example.com') or die 'MAIL: ' . $smtp->message;
$smtp->to('bob@example.com') or die 'RCPT: ' . $smtp->message;
$smtp->data("Subject: Login\n\nIt works.\n") or die 'DATA: ' . $smtp->message;
$smtp->quit;
