"""What the kernel holds for the two sides of a relay; `_queues.pyi` says how it is used.

In C because an email pays for it twice: in Python each of these calls takes a microsecond.
"""

cdef extern from "<poll.h>":
    struct pollfd:
        int fd
        short events
        short revents
    ctypedef unsigned long nfds_t
    int poll(pollfd* fds, nfds_t count, int timeout)
    enum:
        POLLIN
        POLLRDHUP

cdef extern from "<sys/ioctl.h>":
    int ioctl(int fd, unsigned long request, ...)
    enum:
        FIONREAD
        TIOCOUTQ


def is_quiet(int source, int sink) -> bool:
    cdef pollfd fds[2]
    fds[0].fd = source
    fds[0].events = POLLIN
    fds[1].fd = sink
    fds[1].events = 0  # errors are told anyway
    fds[0].revents = fds[1].revents = 0
    poll(fds, 1 if source == sink else 2, 0)
    return not (fds[0].revents or fds[1].revents)


def unread(int source) -> int:
    cdef int octets = 0
    ioctl(source, FIONREAD, &octets)
    return octets


def has_ended(int source) -> bool:
    return _polled(source, POLLRDHUP) != 0


def is_reset(int source) -> bool:
    return _polled(source, 0) != 0  # errors are told anyway


cdef short _polled(int source, short events):
    cdef pollfd fds
    fds.fd = source
    fds.events = events
    fds.revents = 0
    poll(&fds, 1, 0)
    return fds.revents


def untaken(int sink, bint pipe) -> int:
    cdef int octets = 0
    ioctl(sink, FIONREAD if pipe else TIOCOUTQ, &octets)
    return octets
