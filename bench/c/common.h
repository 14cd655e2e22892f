#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* listen_loopback listens on a free port and says which. */
static int listen_loopback(void) {
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sa;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) || listen(fd, 4096) ||
	    getsockname(fd, (struct sockaddr *)&sa, &len)) {
		perror("listen");
		exit(1);
	}
	printf("{\"addr\":\"127.0.0.1:%d\",\"backend\":\"C\"}\n", ntohs(sa.sin_port));
	fflush(stdout);
	return fd;
}

static inline void no_delay(int fd) {
	int one = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static inline int send_all(int fd, const char *p, size_t n) {
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return 0;
		p += sent;
		n -= sent;
	}
	return 1;
}

/* answer_control answers each line on standard input: it has no counters. It
 * returns 0 at the end of the input. */
static inline int answer_control(void) {
	char line[256];
	ssize_t n = read(0, line, sizeof line);
	if (n <= 0)
		return 0;
	for (ssize_t i = 0; i < n; i++)
		if (line[i] == '\n')
			printf("-1\n");
	fflush(stdout);
	return 1;
}
