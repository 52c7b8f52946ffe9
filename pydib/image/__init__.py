"""From the disk image to finished outputs: conversion, packing, checksums, publishing."""
