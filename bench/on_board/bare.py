"""main.py of a board without Keystead: what it stands on, and the same application."""

import binascii
import collections
import errno
import gc
import hashlib
import json
import os
import select
import socket
import struct
import sys
import time

import esp32
import machine
import network
import ntptime
import tls
from app import run
from umqtt import simple

run(None)
