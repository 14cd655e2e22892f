/* An echo server on epoll: one thread, level-triggered. Prints its address as
 * the benchmark's servers do and ends with its standard input. */
#define _GNU_SOURCE
#include "common.h"
#include <sys/epoll.h>

int main(void) {
	int listener = listen_loopback();
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener};
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
	ev.data.fd = 0;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, 0, &ev) < 0)
		return 1;
	static char buf[16 << 10];
	static struct epoll_event events[512];
	for (;;) {
		int n = epoll_wait(ep, events, 512, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == 0) {
				if (!answer_control())
					return 0;
				continue;
			}
			if (fd == listener) {
				int c = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
				if (c < 0)
					continue;
				no_delay(c);
				struct epoll_event e = {.events = EPOLLIN, .data.fd = c};
				epoll_ctl(ep, EPOLL_CTL_ADD, c, &e);
				continue;
			}
			ssize_t got = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
			if (got < 0 && (errno == EAGAIN || errno == EINTR))
				continue;
			if (got <= 0 || !send_all(fd, buf, got))
				close(fd);
		}
	}
}
