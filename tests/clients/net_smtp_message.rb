# Sends the message in FILE with Ruby's Net::SMTP, over STARTTLS. usage: net_smtp_message.rb HOST PORT FILE
require 'net/smtp'
require 'openssl'

host, port, file = ARGV
context = OpenSSL::SSL::SSLContext.new
context.verify_mode = OpenSSL::SSL::VERIFY_NONE
smtp = Net::SMTP.new(host, port.to_i)
smtp.enable_starttls(context)
smtp.start(helo: 'client.example.com', user: 'jürgen', secret: 'gehëim', authtype: :login) do
  smtp.send_message(File.binread(file), 'zoe@example.com', 'bob@example.com', 'carol@example.com')
end
