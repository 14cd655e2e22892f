/* The load generator: clients on epoll that check every byte that comes back.
 * It is in C because its cost hides the server's where both share a machine.
 * goload.go does the same in Go, for machines without a compiler.
 *
 * Arguments are name=value. It prints {"event":"begin"} and {"event":"end"}
 * around what is measured and waits for a line of input after each; then a
 * line with the result. It ends with its standard input. */
#define _GNU_SOURCE
#include "load.h"
#include <pthread.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

struct spec spec;
unsigned char *block;
static const struct protocol *protocol = &tcp;
static struct worker *workers;
static pthread_barrier_t barrier;
static pthread_mutex_t printing = PTHREAD_MUTEX_INITIALIZER;
static int64_t started; /* of what is measured, set between two barriers */
static double seconds;

int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* fail prints the result of a run that went wrong and ends the process. */
void fail(bool wrong, const char *format, ...)
{
	char text[300];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	pthread_mutex_lock(&printing);
	printf("{\"event\":\"result\",\"error\":\"%s\",\"wrong\":%s}\n", text, wrong ? "true" : "false");
	fflush(stdout);
	_exit(0);
}

/* tell announces an event and waits until the bench has taken note. */
static void tell(const char *event)
{
	char line[64];

	printf("{\"event\":\"%s\"}\n", event);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(0); /* the bench is gone */
}

static unsigned bucket(uint64_t v)
{
	if (v < 2u << SUB_BITS)
		return v;
	unsigned shift = 63 - __builtin_clzll(v) - SUB_BITS;
	return (shift << SUB_BITS) + (v >> shift);
}

static void record(struct worker *w, int64_t ns)
{
	if (ns < 0)
		ns = 0;
	w->hist[bucket(ns)]++;
	if (ns > w->max)
		w->max = ns;
}

void want(struct worker *w, struct client *c, bool out)
{
	struct epoll_event ev = { .events = protocol->events | (out ? EPOLLOUT : 0), .data.ptr = c };

	if (c->out == out)
		return;
	c->out = out;
	if (epoll_ctl(w->ep, EPOLL_CTL_MOD, c->fd, &ev))
		fail(false, "epoll_ctl: %s", strerror(errno));
}

static void start(struct worker *w, struct client *c, int64_t intended)
{
	c->seq++;
	c->busy = true;
	c->sent = c->got = 0;
	c->intended = intended;
	protocol->push(w, c);
}

static bool event(struct worker *w, struct epoll_event *ev)
{
	struct client *c = ev->data.ptr;

	if (c->out && ev->events & EPOLLOUT)
		protocol->push(w, c);
	return ev->events & ~EPOLLOUT ? protocol->receive(w, c, ev->events) : false;
}

/* wait_events looks, and then waits for at most ns. */
static int wait_events(struct worker *w, int64_t ns)
{
	struct timespec ts = { ns / 1000000000, ns % 1000000000 };
	int n = ns <= 0 ? epoll_wait(w->ep, w->events, EVENTS, 0) :
		(int)syscall(SYS_epoll_pwait2, w->ep, w->events, EVENTS, &ts, NULL, 0);

	if (n < 0 && errno != EINTR)
		fail(false, "epoll_wait: %s", strerror(errno));
	return n < 0 ? 0 : n;
}

/* done_with counts an answered message. */
static void done_with(struct worker *w, struct client *c, int64_t now)
{
	if (!w->counting)
		return;
	w->work++;
	record(w, now - c->intended);
}

/* expire gives up messages that must be lost by now, starts the next in their
 * place if there is to be one, and returns how many they are. */
static long expire(struct worker *w, int64_t now, bool again)
{
	long n = 0;

	if (!protocol->lossy || now < w->look)
		return 0;
	w->look = now + LOST_NS / 8;
	for (long i = 0; i < w->n; i++) {
		struct client *c = &w->conns[i];
		if (!c->busy || now - c->intended < LOST_NS)
			continue;
		c->busy = false;
		c->given_up++;
		w->lost++;
		n++;
		if (again)
			start(w, c, now);
	}
	return n;
}

/* patience is how long to wait for events at most. */
static int64_t patience(int64_t ns)
{
	return protocol->lossy && ns > LOST_NS / 8 ? LOST_NS / 8 : ns;
}

/* settle waits for the answers to what is under way. */
static void settle(struct worker *w)
{
	long left = 0;
	int64_t last = now_ns();

	for (long i = 0; i < w->n; i++)
		left += w->conns[i].busy;
	while (left > 0) {
		int n = wait_events(w, patience(1000000000));
		int64_t now = now_ns();
		for (int i = 0; i < n; i++) {
			if (event(w, &w->events[i])) {
				done_with(w, w->events[i].data.ptr, now);
				left--;
			}
		}
		left -= expire(w, now, false);
		if (n > 0)
			last = now;
		else if (now - last > spec.give_up)
			fail(false, "no answer to %ld messages for %lld s", left, (long long)(spec.give_up / 1000000000));
	}
}

static void start_due(struct worker *w, struct client *c)
{
	int64_t intended = c->next;

	c->next += w->step * w->n;
	start(w, c, intended);
}

/* send_due starts what is due by now on connections that are free, and returns
 * when the next message is due. */
static int64_t send_due(struct worker *w, int64_t now)
{
	for (;;) {
		int64_t at = w->begin + w->step * w->due;
		if (at > now || at >= w->end)
			return at;
		struct client *c = &w->conns[w->due++ % w->n];
		if (!c->busy && c->next <= now)
			start_due(w, c); /* a busy one's goes out when its answer is there */
	}
}

/* loop keeps the connections busy from begin to end. */
static void loop(struct worker *w)
{
	bool open = spec.rate > 0;
	int64_t last = w->begin;

	w->due = 0;
	for (long i = 0; i < w->n; i++) {
		if (open)
			w->conns[i].next = w->begin + w->step * i;
		else
			start(w, &w->conns[i], now_ns());
	}
	for (;;) {
		int64_t now = now_ns();
		if (now >= w->end)
			return;
		int64_t wait = w->end - now < 1000000000 ? w->end - now : 1000000000;
		if (open) {
			int64_t until = send_due(w, now) - now;
			if (until < wait)
				wait = until < SPIN_NS && spec.spin ? 0 : until;
		}
		int n = wait_events(w, patience(wait));
		if (n > 0)
			last = now;
		else if (now - last > spec.give_up)
			fail(false, "no answer for %lld s", (long long)(spec.give_up / 1000000000));
		for (int i = 0; i < n; i++) {
			struct client *c = w->events[i].data.ptr;
			if (!event(w, &w->events[i]))
				continue;
			now = now_ns();
			done_with(w, c, now);
			if (now >= w->end)
				continue;
			w->ops += w->counting;
			if (!open)
				start(w, c, now);
			else if (c->next <= now)
				start_due(w, c);
		}
		expire(w, now, true);
	}
}

/* connect_all opens the connections and exchanges a message over each, so that
 * the server has accepted them all. */
static void connect_all(struct worker *w)
{
	w->ep = epoll_create1(EPOLL_CLOEXEC);
	w->out = malloc(spec.size);
	w->in = malloc(spec.size + 1);
	w->conns = calloc(w->n, sizeof(*w->conns));
	if (w->ep < 0 || !w->out || !w->in || !w->conns)
		fail(false, "epoll or memory: %s", strerror(errno));
	for (long i = 0; i < w->n; i++) {
		struct client *c = &w->conns[i];
		struct epoll_event ev = { .events = protocol->events, .data.ptr = c };
		c->id = i * spec.threads + w->id;
		c->fd = protocol->open();
		if (epoll_ctl(w->ep, EPOLL_CTL_ADD, c->fd, &ev))
			fail(false, "epoll_ctl: %s", strerror(errno));
		start(w, c, now_ns());
		if (i % BATCH == BATCH - 1)
			settle(w);
	}
	settle(w);
	if (w->lost)
		fail(false, "no answer to the first message of %lld sockets", (long long)w->lost);
}

/* together has all threads wait for the first, which does something alone. */
static void together(struct worker *w, void (*alone)(void))
{
	pthread_barrier_wait(&barrier);
	if (w->id == 0 && alone)
		alone();
	pthread_barrier_wait(&barrier);
}

static struct timespec cpu_before;
static double cpu_used;

static void begin(void)
{
	tell("begin");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_before);
	started = now_ns();
}

static void end(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	cpu_used = ts.tv_sec - cpu_before.tv_sec + (ts.tv_nsec - cpu_before.tv_nsec) / 1e9;
	tell("end");
}

static void *echo(void *arg)
{
	struct worker *w = arg;

	connect_all(w);
	together(w, NULL);
	w->step = spec.rate > 0 ? 1e9 * spec.threads / spec.rate : 0;
	w->begin = now_ns();
	w->end = w->begin + spec.warm;
	loop(w);
	settle(w);
	together(w, begin);
	w->begin = started;
	w->end = started + spec.measure;
	w->counting = true;
	w->lost = w->late = 0;
	loop(w);
	for (long i = 0; spec.rate > 0 && i < w->n; i++)
		for (int64_t at = w->conns[i].next; at < w->end; at += w->step * w->n)
			w->unsent++;
	settle(w);
	seconds = spec.measure / 1e9;
	together(w, end);
	return NULL;
}

static void *idle(void *arg)
{
	struct worker *w = arg;

	connect_all(w);
	together(w, NULL);
	usleep(spec.warm / 1000);
	together(w, begin);
	usleep(spec.measure / 1000);
	seconds = spec.measure / 1e9;
	together(w, end);
	return NULL;
}

static int stream_conn(void)
{
	struct timeval tv = { .tv_sec = spec.give_up / 1000000000 };
	int fd = dial();

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)))
		fail(false, "setsockopt: %s", strerror(errno));
	return fd;
}

/* feed sends the server so many bytes and has it say how many came. */
static void feed(int64_t bytes)
{
	int fd = stream_conn();
	uint64_t count = 0;
	size_t have = 0;

	for (int64_t left = bytes; left > 0;) {
		ssize_t n = send(fd, pattern, left < CHUNK ? left : CHUNK, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			fail(false, "send: %s", strerror(errno));
		left -= n;
	}
	shutdown(fd, SHUT_WR);
	while (have < sizeof(count)) {
		ssize_t n = recv(fd, (char *)&count + have, sizeof(count) - have, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			fail(false, "no count from the server: %s", n ? strerror(errno) : "it has closed");
		have += n;
	}
	if (count != (uint64_t)bytes)
		fail(true, "the server received %llu bytes of %lld", (unsigned long long)count, (long long)bytes);
	close(fd);
}

/* drink has the server send so many bytes and looks at each. */
static void drink(int64_t bytes)
{
	static unsigned char twice[2 * CHUNK], buf[CHUNK];
	int fd = stream_conn();
	int64_t got = 0;

	memcpy(twice, pattern, CHUNK);
	memcpy(twice + CHUNK, pattern, CHUNK);
	if (send(fd, &bytes, sizeof(bytes), MSG_NOSIGNAL) != sizeof(bytes))
		fail(false, "send: %s", strerror(errno));
	while (got < bytes) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			fail(false, "recv: %s", n ? strerror(errno) : "the server has closed");
		if (memcmp(buf, twice + got % CHUNK, n))
			fail(true, "wrong data between bytes %lld and %lld", (long long)got, (long long)(got + n));
		got += n;
	}
	close(fd);
}

static void stream(void (*move)(int64_t))
{
	int64_t warm = spec.bytes / 16;

	move(warm > 0 ? warm : 1);
	begin();
	move(spec.bytes);
	seconds = (now_ns() - started) / 1e9;
	workers[0].ops = workers[0].work = spec.bytes >> 20;
	end();
}

/* buckets_of_input makes a histogram of the numbers on standard input, for the
 * test of how histograms are handed over. */
static void buckets_of_input(void)
{
	long long v;

	while (scanf("%lld", &v) == 1)
		record(&workers[0], v);
}

static void print_result(void)
{
	struct worker sum = { 0 };
	const char *sep = "";

	for (int t = 0; t < spec.threads; t++) {
		struct worker *w = &workers[t];
		sum.ops += w->ops;
		sum.work += w->work;
		sum.unsent += w->unsent;
		sum.lost += w->lost;
		sum.late += w->late;
		sum.max = w->max > sum.max ? w->max : sum.max;
		for (int i = 0; i < BUCKETS; i++)
			sum.hist[i] += w->hist[i];
	}
	printf("{\"event\":\"result\",\"ops\":%lld,\"work\":%lld,\"unsent\":%lld,\"lost\":%lld,\"late\":%lld,\"seconds\":%.9f,\"cpu\":%.9f,\"max\":%lld,\"buckets\":[",
	       (long long)sum.ops, (long long)sum.work, (long long)sum.unsent, (long long)sum.lost,
	       (long long)sum.late, seconds, cpu_used, (long long)sum.max);
	for (int i = 0; i < BUCKETS; i++) {
		if (!sum.hist[i])
			continue;
		printf("%s[%d,%llu]", sep, i, (unsigned long long)sum.hist[i]);
		sep = ",";
	}
	printf("]}\n");
	fflush(stdout);
}

static void parse(const char *arg)
{
	const char *v = strchr(arg, '=');
	size_t n = v ? (size_t)(v - arg) : 0;
	const struct {
		const char *name;
		long *l;
		int64_t *i;
		double *d;
	} numbers[] = { { "conns", .l = &spec.conns }, { "size", .l = &spec.size }, { "threads", .l = &spec.threads },
			{ "spin", .l = &spec.spin }, { "warm", .i = &spec.warm }, { "measure", .i = &spec.measure },
			{ "bytes", .i = &spec.bytes }, { "giveup", .i = &spec.give_up }, { "rate", .d = &spec.rate } };

	if (!v++)
		fail(false, "%s is no name=value", arg);
	if (n == 4 && !memcmp(arg, "kind", n)) {
		snprintf(spec.kind, sizeof(spec.kind), "%s", v);
		return;
	}
	if (n == 4 && !memcmp(arg, "port", n)) {
		spec.addr.sin_port = htons(atoi(v));
		return;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		if (strlen(numbers[i].name) != n || memcmp(arg, numbers[i].name, n))
			continue;
		if (numbers[i].l)
			*numbers[i].l = atol(v);
		else if (numbers[i].i)
			*numbers[i].i = atoll(v);
		else
			*numbers[i].d = atof(v);
		return;
	}
	fail(false, "no parameter %s", arg);
}

/* on_threads runs a load on all threads, of which this is the first. */
static void on_threads(void *(*run)(void *))
{
	pthread_t id[64];

	if (spec.threads > 64 || spec.conns < spec.threads || spec.size < STAMP)
		fail(false, "want 1 to 64 threads, a connection for each, and messages of 8 bytes or more");
	pthread_barrier_init(&barrier, NULL, spec.threads);
	for (int t = 0; t < spec.threads; t++) {
		workers[t].id = t;
		workers[t].n = (spec.conns + spec.threads - 1 - t) / spec.threads;
		if (t > 0 && (errno = pthread_create(&id[t], NULL, run, &workers[t])))
			fail(false, "pthread_create: %s", strerror(errno));
	}
	run(&workers[0]);
	for (int t = 1; t < spec.threads; t++)
		pthread_join(id[t], NULL);
}

int main(int argc, char **argv)
{
	uint32_t x = 1;

	spec.threads = 1;
	spec.give_up = 20000000000;
	spec.addr.sin_family = AF_INET;
	spec.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 1; i < argc; i++)
		parse(argv[i]);
	make_pattern();
	prctl(PR_SET_TIMERSLACK, 1); /* open loops sleep until a message is due */
	workers = calloc(spec.threads, sizeof(*workers));
	block = malloc(spec.size + SPREAD);
	if (!workers || !block)
		fail(false, "out of memory");
	for (long i = 0; i < spec.size + SPREAD; i++) {
		x = x * 1664525 + 1013904223;
		block[i] = x >> 24;
	}
	if (!strcmp(spec.kind, "udp"))
		protocol = &udp;
	else if (!strcmp(spec.kind, "churn"))
		protocol = &churn;
	else if (!strcmp(spec.kind, "http"))
		protocol = &http;
	if (!strcmp(spec.kind, "echo") || !strcmp(spec.kind, "open") || protocol != &tcp)
		on_threads(echo);
	else if (!strcmp(spec.kind, "idle"))
		on_threads(idle);
	else if (!strcmp(spec.kind, "recv"))
		stream(feed);
	else if (!strcmp(spec.kind, "send"))
		stream(drink);
	else if (!strcmp(spec.kind, "buckets"))
		buckets_of_input();
	else
		fail(false, "no load %s", spec.kind);
	print_result();
	return 0;
}
