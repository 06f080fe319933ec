#!/usr/bin/python3
import core

raise SystemExit(core.NAME != "core")
