"""Has files of strangers read by a process of its own, and tells how that ended.

Its environment holds GDAL's settings from the first moment: set later they come too late for
the drivers, and set in this process they would change what else its user does with rasterio.
Knows processes and signals; loads nothing that reads rasters.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from geodeforest.errors import OptionError, ReaderLost
from geodeforest.workflows.signals import handling

_PASSED_ON = {int(signal.SIGINT): 130, int(signal.SIGTERM): 143}
_SHOWN = 3

# -P: not even the current folder, which may be the stranger's, holds modules. The package's own
# folder comes last, in case that it was found through the current one.
_PROGRAM = "import sys; sys.path.append(sys.argv.pop(1)); from geodeforest.{} import main; main()"
COMMANDS, SCANS = "cli.aside", "workflows.told_scan"
"""The modules that such a process begins in: to run a command, or to scan for Python."""

# All that GDAL 3.4 to 3.12 may be built with, but for what reads GeoTIFF and GeoJSON and writes
# the outputs: GTiff, COG, MEM, GeoJSON, GPKG, FlatGeobuf.
_NAMES = """
    AAIGrid ACE2 ADBC ADRG AIG AIVector ARCGEN ARG AVCBin AVCE00 AirSAR AmigoCloud BAG BIGGIF
    BLX BMP BNA BSB BT BYN CAD CALS CEOS COASP COSAR CPG CSV CSW CTG CTable2 Carto Cloudant
    CouchDB DAAS DERIVED DGN DIMAP DIPEx DOQ1 DOQ2 DTED DXF ECRGTOC ECW EDIGEO EEDA EEDAI EHdr
    EIR ELAS ENVI ERS ESAT ESRIC ESRIJSON EXR Elasticsearch FAST FIT FITS FileGDB FujiBAS GDALG
    GFF GIF GML GMLAS GMT GNMDatabase GNMFile GPSBabel GPX GRASS GRASSASCIIGrid GRIB GS7BG GSAG
    GSBG GSC GTFS GTI GTX GXF GenBin GeoRSS Geoconcept HANA HDF4 HDF4Image HDF5 HDF5Image HEIF
    HF2 HFA HTTP IDA IDB ILWIS INGR INTERLIS IRIS ISCE ISG ISIS2 ISIS3 Idrisi JAXAPALSAR JDEM
    JML JP2ECW JP2Grok JP2KAK JP2Lura JP2MrSID JP2OpenJPEG JPEG JPEG2000 JPEGXL JSONFG KEA KML
    KMLSUPEROVERLAY KRO L1B LAN LCP LIBERTIFF LIBKML LOSLAS LVBAG Leveller MAP MBTiles
    MFF MFF2 MG4Lidar MRF MSG MSGN MSSQLSpatial MVT MapML MiraMonRaster MiraMonVector MonetDB
    MrSID MySQL NAS NDF NGSGEOID NGW NITF NOAA_B NSIDCbin NTv1 NTv2 NWT_GRC NWT_GRD netCDF
    OAPIF OCI ODBC ODS OGCAPI OGDI OGR_GMT OGR_PDS OGR_SDTS OGR_VRT OSM OZI OpenFileGDB PAux
    PCIDSK PCRaster PDF PDS PDS4 PGDUMP PGDump PGeo PLMOSAIC PLSCENES PMTiles PNG PNM PRF
    Parquet Arrow PostGISRaster PostgreSQL R RASTERLITE RCM RDB RIK RMF ROI_PAC RPFTOC RRASTER
    RS2 RST Rasterlite S102 S104 S111 S57 SAFE SAGA SAP SAR_CEOS SDTS SEGUKOOA SEGY SENTINEL2
    SGI SIGDEM SNAP_TIFF SNODAS SOSI SQLite SRP SRTMHGT STACIT STACTA SUA SVG SXF Selafin
    TGA TIGER TIL TSX Terragen TileDB TopoJSON UK_NTF USGSDEM VDV VFK VICAR VRT Vaisala WAsP
    WCS WEBP WFS WMS WMTS Walk XLS XLSX XODR XPM XYZ ZMap Zarr GeoJSONSeq
"""
SKIPPED = (*_NAMES.split(), "ESRI Shapefile", "Interlis 1", "Interlis 2", "MapInfo File", "NTF")
"""The names of GDAL's drivers that a process for strangers' files does without."""

_SETTINGS = {
    "GDAL_SKIP": ",".join(SKIPPED),
    "OGR_SKIP": ",".join(SKIPPED),
    "GDAL_DRIVER_PATH": os.devnull,  # "disable" is also taken for a folder, of the current one
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_VRT_ENABLE_RAWRASTERBAND": "NO",
    "CPL_LOG": os.devnull,  # where it would tell that a skipped driver was not there anyway
    "PROJ_NETWORK": "OFF",
}
# What else is set for GDAL, and keys of clouds, which no local file needs.
_LEFT_BEHIND = ("GDAL_", "OGR_", "CPL_", "VSI", "AWS_", "AZURE_", "GOOGLE_", "GS_", "OSS_")
_KEPT = ("GDAL_DATA",)


def run_aside(arguments: Sequence[str], files: Sequence[str], memory: int) -> int:
    """Run a command in a confined process; returns its exit code.

    ``files`` are what messages name if the process is lost, ``memory`` is in MB. SIGINT and
    SIGTERM are passed on.

    Raises:
        OptionError: the operating system has no such limits.
        ReaderLost: a signal or a limit ended the process.
    """
    passing = _Passing()
    with handling(_PASSED_ON, passing):
        process = start_aside(COMMANDS, arguments, memory)
        passing.to(process)
        code = process.wait()
    return ending(code, files)


def start_aside(
    module: str, arguments: Sequence[str], memory: int, output: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a module's ``main`` in a confined process of its own group; its stdout to ``output``.

    Raises:
        OptionError: the operating system has no such limits.
    """
    if os.name != "posix":
        raise OptionError(
            "untrusted: this system cannot confine a process; use Linux, or leave --untrusted out"
        )
    python = [sys.executable, "-P", "-c", _PROGRAM.format(module), str(Path(__file__).parents[2])]
    return subprocess.Popen(
        [*python, str(memory), *arguments],
        env=guarded_environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=output,
        process_group=0,  # what a terminal sends reaches it once, through this process
    )


def guarded_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which GDAL reads local GeoTIFF and GeoJSON alone."""
    kept = {
        name: value
        for name, value in environment.items()
        if name in _KEPT or not name.startswith(_LEFT_BEHIND)
    }
    return kept | _SETTINGS


def ending(code: int, files: Sequence[str]) -> int:
    """The exit code of a process that ended by itself, or by a signal that was passed on.

    Raises:
        ReaderLost: another signal ended it.
    """
    if code >= 0:
        return code
    if -code in _PASSED_ON:
        return _PASSED_ON[-code]
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    raise ReaderLost(", ".join(files[:_SHOWN]) + (", ..." if files[_SHOWN:] else ""), name)


@contextmanager
def interrupted_too(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Interrupt a process, and wait for its end, where an exception ends the use of it."""
    try:
        yield
    except BaseException:
        process.send_signal(signal.SIGINT)
        raise
    finally:
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


class _Passing:
    """Signals that came, for a process that may not have begun yet."""

    def __init__(self) -> None:
        self._came: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    def to(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on what came, and what comes."""
        self._process = process
        for number in self._came:
            process.send_signal(number)

    def __call__(self, number: int, _: FrameType | None) -> None:
        if self._process is None:
            self._came.append(number)
        else:
            self._process.send_signal(number)
