# Sends one mail with Ruby's Net::SMTP, without choosing a mechanism. usage: net_smtp.rb HOST PORT USER PASSWORD
require 'net/smtp'

host, port, user, password = ARGV
Net::SMTP.start(host, port.to_i, helo: 'client.example.com', user: user, secret: password, starttls: false) do |smtp|
  smtp.send_message("Subject: Login\r\n\r\nIt works.\r\n", 'zoe@example.com', 'bob@example.com')
end
