package main

// difference is one between the two packages that cannot be helped.
type difference struct {
	name   string // what differs
	what   string // how
	reason string // why, and what a program can do about it
}

// inTypes are the differences in names and types: exactly those that the
// comparison finds.
var inTypes = []difference{}

// unfinished are names that will be there.
var unfinished = []string{}

// inBehaviour are the differences that only show when a program runs.
var inBehaviour = []difference{
	{
		"TCPConn, TCPListener, UDPConn, UnixConn, UnixListener",
		"They are types of their own.",
		"Their sockets wait on a ring. A value is still a net.Conn, net.Listener or net.PacketConn to everybody, but who " +
			"imports the standard library's package and asserts the type of a connection, as `c.(*net.TCPConn)`, does not " +
			"recognise it: change that import, too, or assert an interface that has the methods in need.",
	},
	{
		"Buffers",
		"It is a type of its own, as the sockets are.",
		"One system call for all of it needs a hook that the standard library's type has for its own connections only. Both " +
			"are [][]byte, so a conversion makes one of the other; written to a connection by WriteTo or io.Copy, both are " +
			"one system call.",
	},
	{
		"Dialer, where the standard library wants its own",
		"tls.DialWithDialer and the field NetDialer of tls.Dialer do not take ours.",
		"Other packages of the standard library name the type of that library. Dial with ours and call tls.Client on the " +
			"connection, or leave the standard library's Dialer in that place. The only case known of a widely used module is " +
			"the client for DNS over TLS in github.com/miekg/dns.",
	},
	{
		"Dialer, under net/http/httptrace",
		"ConnectStart and ConnectDone of a ClientTrace are not called. DNSStart and DNSDone are.",
		"The standard library's Dialer finds them by a key that no other package can name; the public way to them would " +
			"bring crypto/tls into every program that dials.",
	},
	{
		"IPConn, DialIP, ListenIP",
		"They are the standard library's.",
		"Raw sockets are for few and slow messages. They work as ever, on the runtime's poller.",
	},
	{
		"DefaultResolver, IPv4bcast and all other variables",
		"They are variables of their own with the standard library's values.",
		"A variable of one package cannot be one of another. Assigning to DefaultResolver has its effect on the functions " +
			"of this package, and none on those that use the standard library's; Listen and ListenPacket are among these when " +
			"they are given the name of a host. Assign to both.",
	},
	{
		"TCPConn.MultipathTCP",
		"Of a closed connection, it is false where the standard library says true on a kernel that has Multipath TCP.",
		"A closed connection does not use anything.",
	},
}
