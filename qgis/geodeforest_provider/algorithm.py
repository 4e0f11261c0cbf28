"""An algorithm of QGIS that is a command of the program geodeforest."""

from __future__ import annotations

from typing import Any, ClassVar

from processing.core.ProcessingConfig import ProcessingConfig
from qgis.core import (
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterLayer,
)
from qgis.PyQt import sip

from .program import EXECUTABLE, ProgramError, Value, arguments, find_program, run

Parameters = dict[str, Any]


class ProgramAlgorithm(QgsProcessingAlgorithm):
    """One command, with its options as parameters that have the options' names.

    A parameter that is not set leaves its option to the program. ``REPEATED`` are the names
    of those that hold a list.
    """

    COMMAND = ""
    TITLE = ""
    ABOUT = ""
    REPEATED: tuple[str, ...] = ()

    def definitions(self) -> list[QgsProcessingParameterDefinition]:
        """The parameters, in the order of the dialog."""
        raise NotImplementedError

    def name(self) -> str:
        """The word after the colon in ``geodeforest:scan``."""
        return self.COMMAND

    def displayName(self) -> str:
        """The name in the toolbox."""
        return self.TITLE

    def shortHelpString(self) -> str:
        """The text beside the dialog."""
        return self.ABOUT

    def createInstance(self) -> ProgramAlgorithm:
        """A new one for each run."""
        return type(self)()

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        """Declare the parameters, and with the destinations the outputs."""
        for definition in self.definitions():
            self.addParameter(definition)

    def canExecute(self) -> tuple[bool, str]:
        """Whether the program is there, and what to do if not."""
        try:
            find_program(_setting())
        except ProgramError as error:
            return False, str(error)
        return True, ""

    def processAlgorithm(
        self,
        parameters: Parameters,
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> Parameters:
        """Run the command; the paths of what it wrote, nothing if it was cancelled."""
        values = {
            definition.name(): self._value(definition, parameters, context)
            for definition in self.parameterDefinitions()
        }
        words = arguments(self.COMMAND, values, self.REPEATED)
        try:
            run([find_program(_setting()), *words], feedback)
        except ProgramError as error:
            raise QgsProcessingException(str(error)) from error
        if feedback.isCanceled():
            return {}
        written = [d.name() for d in self.destinationParameterDefinitions() if values[d.name()]]
        if context.willLoadLayerOnCompletion(values["OUTPUT"]):
            details = context.layerToLoadOnCompletionDetails(values["OUTPUT"])
            details.setPostProcessor(_OwnStyle.handed_over())
        return {name: values[name] for name in written}

    def _value(
        self,
        definition: QgsProcessingParameterDefinition,
        parameters: Parameters,
        context: QgsProcessingContext,
    ) -> Value:
        where = (parameters, definition.name(), context)
        if isinstance(definition, QgsProcessingParameterBoolean):
            return bool(self.parameterAsBool(*where))
        if isinstance(definition, QgsProcessingParameterRasterLayer):
            return self._raster_path(*where)
        if isinstance(definition, QgsProcessingParameterFileDestination):
            return str(self.parameterAsFileOutput(*where))
        if definition.isDestination():
            return str(self.parameterAsOutputLayer(*where))
        return str(self.parameterAsString(*where)).strip()

    def _raster_path(self, parameters: Parameters, name: str, context: QgsProcessingContext) -> str:
        if parameters.get(name) in (None, ""):  # QGIS has seen to those that must be set
            return ""
        layer = self.parameterAsRasterLayer(parameters, name, context)
        if layer is None:
            raise QgsProcessingException(self.invalidRasterError(parameters, name))
        if layer.providerType() != "gdal":
            raise QgsProcessingException(
                f"{layer.name()}: is a service, not a file; save it as a GeoTIFF first"
            )
        return str(layer.source().partition("|")[0])  # open options follow


class _OwnStyle(QgsProcessingLayerPostProcessorInterface):
    """Gives a layer the style that its file brings, which Processing leaves out."""

    _in_use: ClassVar[list[_OwnStyle]] = []

    @classmethod
    def handed_over(cls) -> _OwnStyle:
        """A new one, which QGIS will delete.

        Until then somebody has to keep the Python half of it alive, and QGIS does not.
        """
        cls._in_use = [cls(), *(one for one in cls._in_use if not sip.isdeleted(one))]
        return cls._in_use[0]

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        layer.loadDefaultStyle()


def _setting() -> str:
    return str(ProcessingConfig.getSetting(EXECUTABLE) or "").strip()
