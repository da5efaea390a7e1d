"""Which fields Google's request messages have.

A field's type is a scalar (string, bool, int32, int64, float, bytes, signature, struct, value),
``enum:Name`` or the name of another message; ``*`` after it means repeated, ``{}`` a map by string.
"""

from tests.fakes.google_parse import Enums, Tables

PUBLIC_PACKAGE = "google.ai.generativelanguage.v1beta"
CODE_ASSIST_PACKAGE = "google.internal.cloud.code.v1internal"

_HARMS = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY")
_VERTEX_HARMS = (
    "IMAGE_HATE",
    "IMAGE_DANGEROUS_CONTENT",
    "IMAGE_HARASSMENT",
    "IMAGE_SEXUALLY_EXPLICIT",
    "JAILBREAK",
)
PUBLIC_HARMS = tuple(f"HARM_CATEGORY_{name}" for name in _HARMS)
VERTEX_HARMS = tuple(f"HARM_CATEGORY_{name}" for name in (*_HARMS, *_VERTEX_HARMS))

_RESOLUTIONS = ("MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH")

ENUMS: Enums = {
    "Type": ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL", "~"),
    "Mode": ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"),
    "ThinkingLevel": ("MINIMAL", "LOW", "MEDIUM", "HIGH", "THINKING_LEVEL_UNSPECIFIED", "~"),
    "HarmCategory": VERTEX_HARMS,
    "HarmBlockThreshold": (
        "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
        "BLOCK_LOW_AND_ABOVE",
        "BLOCK_MEDIUM_AND_ABOVE",
        "BLOCK_ONLY_HIGH",
        "BLOCK_NONE",
        "OFF",
    ),
    "Modality": ("TEXT", "IMAGE", "AUDIO", "~"),
    "MediaResolution": (*_RESOLUTIONS, "MEDIA_RESOLUTION_UNSPECIFIED"),
    "PartResolution": (*_RESOLUTIONS, "MEDIA_RESOLUTION_ULTRA_HIGH"),
    "Language": ("PYTHON", "LANGUAGE_UNSPECIFIED"),
    "Outcome": ("OUTCOME_OK", "OUTCOME_FAILED", "OUTCOME_DEADLINE_EXCEEDED"),
    "Behavior": ("UNSPECIFIED", "BLOCKING", "NON_BLOCKING"),
    "ServiceTier": ("STANDARD", "FLEX", "PRIORITY", "~"),
    "TaskType": (
        "TASK_TYPE_UNSPECIFIED",
        "RETRIEVAL_QUERY",
        "RETRIEVAL_DOCUMENT",
        "SEMANTIC_SIMILARITY",
        "CLASSIFICATION",
        "CLUSTERING",
        "QUESTION_ANSWERING",
        "FACT_VERIFICATION",
        "CODE_RETRIEVAL_QUERY",
    ),
    "IdeType": (
        "IDE_UNSPECIFIED",
        "VSCODE",
        "INTELLIJ",
        "VSCODE_CLOUD_WORKSTATION",
        "INTELLIJ_CLOUD_WORKSTATION",
        "CLOUD_SHELL",
        "GEMINI_CLI",
    ),
    "Platform": (
        "PLATFORM_UNSPECIFIED",
        "DARWIN_AMD64",
        "DARWIN_ARM64",
        "LINUX_AMD64",
        "LINUX_ARM64",
        "WINDOWS_AMD64",
    ),
    "PluginType": ("PLUGIN_UNSPECIFIED", "CLOUD_CODE", "GEMINI", "AIPLUGIN_INTELLIJ"),
    "LoadMode": ("FULL_ELIGIBILITY_CHECK", "HEALTH_CHECK"),
}

_GENERATION_CONFIG = {
    "temperature": "float",
    "topP": "float",
    "topK": "int32",
    "candidateCount": "int32",
    "maxOutputTokens": "int32",
    "stopSequences": "string*",
    "presencePenalty": "float",
    "frequencyPenalty": "float",
    "seed": "int32",
    "responseLogprobs": "bool",
    "logprobs": "int32",
    "responseMimeType": "string",
    "responseSchema": "Schema",
    "responseJsonSchema": "value",
    "responseModalities": "enum:Modality*",
    "mediaResolution": "enum:MediaResolution",
    "speechConfig": "SpeechConfig",
    "thinkingConfig": "ThinkingConfig",
    "imageConfig": "ImageConfig",
}

_SHARED: Tables = {
    "Content": {"role": "string", "parts": "Part*"},
    "Part": {
        "text": "string",
        "inlineData": "Blob",
        "fileData": "FileData",
        "functionCall": "FunctionCall",
        "functionResponse": "FunctionResponse",
        "executableCode": "ExecutableCode",
        "codeExecutionResult": "CodeExecutionResult",
        "toolCall": "struct",
        "toolResponse": "struct",
        "thought": "bool",
        "thoughtSignature": "signature",
        "videoMetadata": "VideoMetadata",
        "mediaResolution": "PartMediaResolution",
        "partMetadata": "struct",
    },
    "Blob": {"mimeType": "string", "data": "bytes", "displayName": "string"},
    "FileData": {"mimeType": "string", "fileUri": "string", "displayName": "string"},
    "FunctionCall": {"id": "string", "name": "string", "args": "struct"},
    "FunctionResponse": {
        "id": "string",
        "name": "string",
        "response": "struct",
        "parts": "FunctionResponsePart*",
        "willContinue": "bool",
        "scheduling": "string",
    },
    "FunctionResponsePart": {"inlineData": "Blob", "fileData": "FileData"},
    "ExecutableCode": {"language": "enum:Language", "code": "string", "id": "string"},
    "CodeExecutionResult": {"outcome": "enum:Outcome", "output": "string", "id": "string"},
    "VideoMetadata": {"startOffset": "string", "endOffset": "string", "fps": "float"},
    "PartMediaResolution": {"level": "enum:PartResolution"},
    "SafetySetting": {"category": "enum:HarmCategory", "threshold": "enum:HarmBlockThreshold"},
    "SpeechConfig": {
        "voiceConfig": "VoiceConfig",
        "multiSpeakerVoiceConfig": "value",
        "languageCode": "string",
    },
    "VoiceConfig": {"prebuiltVoiceConfig": "PrebuiltVoiceConfig"},
    "PrebuiltVoiceConfig": {"voiceName": "string"},
    "ThinkingConfig": {
        "includeThoughts": "bool",
        "thinkingBudget": "int32",
        "thinkingLevel": "enum:ThinkingLevel",
    },
    "ImageConfig": {"aspectRatio": "string", "imageSize": "string"},
    "ToolConfig": {
        "functionCallingConfig": "FunctionCallingConfig",
        "retrievalConfig": "RetrievalConfig",
        "includeServerSideToolInvocations": "bool",
    },
    "FunctionCallingConfig": {"mode": "enum:Mode", "allowedFunctionNames": "string*"},
    "RetrievalConfig": {"latLng": "LatLng", "languageCode": "string"},
    "LatLng": {"latitude": "float", "longitude": "float"},
    "Tool": {
        "functionDeclarations": "FunctionDeclaration*",
        "googleSearch": "GoogleSearch",
        "googleSearchRetrieval": "value",
        "urlContext": "Empty",
        "codeExecution": "Empty",
        "googleMaps": "value",
        "fileSearch": "value",
        "computerUse": "value",
    },
    "GoogleSearch": {"timeRangeFilter": "value", "searchTypes": "value"},
    "Empty": {},
    "FunctionDeclaration": {
        "name": "string",
        "description": "string",
        "parameters": "Schema",
        "parametersJsonSchema": "value",
        "response": "Schema",
        "responseJsonSchema": "value",
        "behavior": "enum:Behavior",
    },
    "Schema": {
        "type": "enum:Type",
        "format": "string",
        "title": "string",
        "description": "string",
        "nullable": "bool",
        "enum": "string*",
        "items": "Schema",
        "prefixItems": "Schema*",
        "minItems": "int64",
        "maxItems": "int64",
        "properties": "Schema{}",
        "required": "string*",
        "minProperties": "int64",
        "maxProperties": "int64",
        "minLength": "int64",
        "maxLength": "int64",
        "pattern": "string",
        "minimum": "float",
        "maximum": "float",
        "anyOf": "Schema*",
        "propertyOrdering": "string*",
        "default": "value",
        "example": "value",
    },
}

_REQUEST = {
    "contents": "Content*",
    "systemInstruction": "Content",
    "cachedContent": "string",
    "tools": "Tool*",
    "toolConfig": "ToolConfig",
    "safetySettings": "SafetySetting*",
    "generationConfig": "GenerationConfig",
}

_EMBED = {
    "model": "string",
    "content": "Content",
    "taskType": "enum:TaskType",
    "title": "string",
    "outputDimensionality": "int32",
}

PUBLIC: Tables = {
    **_SHARED,
    "GenerationConfig": {**_GENERATION_CONFIG, "enableEnhancedCivicAnswers": "bool"},
    "GenerateContentRequest": {**_REQUEST, "model": "string", "serviceTier": "enum:ServiceTier"},
    "CountTokensRequest": {
        "contents": "Content*",
        "generateContentRequest": "GenerateContentRequest",
    },
    "EmbedContentRequest": _EMBED,
    "BatchEmbedContentsRequest": {"requests": "EmbedContentRequest*"},
    "PredictLongRunningRequest": {"instances": "value", "parameters": "value"},
}

CODE_ASSIST: Tables = {
    **_SHARED,
    "GenerationConfig": {
        **_GENERATION_CONFIG,
        "topK": "float",
        "routingConfig": "value",
        "modelSelectionConfig": "value",
        "audioTimestamp": "bool",
    },
    "Tool": {**_SHARED["Tool"], "enterpriseWebSearch": "value", "retrieval": "value"},
    "VertexGenerateContentRequest": {**_REQUEST, "labels": "struct", "sessionId": "string"},
    "GenerateContentRequest": {
        "model": "string",
        "project": "string",
        "userPromptId": "string",
        "request": "VertexGenerateContentRequest",
        "enabledCreditTypes": "string*",
    },
    "CountTokensRequest": {"request": "VertexCountTokensRequest"},
    "VertexCountTokensRequest": {"model": "string", "contents": "Content*"},
    "LoadCodeAssistRequest": {
        "cloudaicompanionProject": "string",
        "metadata": "ClientMetadata",
        "mode": "enum:LoadMode",
    },
    "OnboardUserRequest": {
        "tierId": "string",
        "cloudaicompanionProject": "string",
        "metadata": "ClientMetadata",
    },
    "ClientMetadata": {
        "ideType": "enum:IdeType",
        "ideVersion": "string",
        "pluginVersion": "string",
        "platform": "enum:Platform",
        "updateChannel": "string",
        "duetProject": "string",
        "pluginType": "enum:PluginType",
        "ideName": "string",
    },
    "RetrieveUserQuotaRequest": {"project": "string", "userAgent": "string"},
}
