"""errno, with the numbers of newlib, which an ESP32's lwIP shares."""

from uerrno import *

EADDRINUSE = 112
EALREADY = 120
ECONNABORTED = 113
EHOSTUNREACH = 118
EINPROGRESS = 119
ENOTCONN = 128
ETIMEDOUT = 116
